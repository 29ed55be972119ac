import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from models import Shape, build
from tasks.common.errors import Error
from tasks.faces.detector import read
from tasks.learning import foreign


def checkpoint(path: Path, classes: int = 1) -> torch.nn.Module:
    """What ultralytics saves: the pickled network, in half precision."""
    torch.manual_seed(0)
    network = build("yolov8", Shape(3, classes, 64), {})
    content: dict[str, Any] = {"epoch": -1, "model": network.model.half(), "ema": None, "train_args": {"imgsz": 640}}  # type: ignore[union-attr]
    torch.save(content, path)
    return network


def test_a_pickled_network_is_read_without_being_unpickled(tmp_path: Path) -> None:
    network = checkpoint(path := tmp_path / "yolov8n-face.pt")
    found = read(path)
    expected = {name: tensor.float() for name, tensor in network.state_dict().items()}
    assert all(torch.equal(tensor.float(), expected[name]) for name, tensor in found.state_dict().items())


def test_a_network_of_other_classes_is_refused(tmp_path: Path) -> None:
    checkpoint(path := tmp_path / "yolov8n.pt", classes=80)
    with pytest.raises(Error, match="not a YOLOv8 or YOLO11 detector of one class"):
        read(path)


def test_a_method_that_was_pickled_is_not_looked_up(tmp_path: Path) -> None:
    """Pickle names a method as `getattr` of its object; here it would be one of the network's that is not there."""
    checkpoint(path := tmp_path / "yolo.pt")
    content = torch.load(path, weights_only=False)
    torch.save({**content, "method": content["model"].fuse}, path)
    assert "builtins.getattr" in torch.serialization.get_unsafe_globals_in_checkpoint(path)
    assert foreign.read(path).keys() == content["model"].state_dict().keys()


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/darkroom-was-here",)


@pytest.mark.parametrize("content", [{"model": Malicious()}, Malicious(), {"model": {"a": Malicious()}}])
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, content: Any) -> None:
    torch.save(content, path := tmp_path / "bad.pt")
    with pytest.raises(Error, match=r"refused, since it names (posix|nt)\.system"):
        foreign.read(path)
    assert not Path("/tmp/darkroom-was-here").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"model": 1}))
    torch.save({"model": torch.zeros(3)}, tmp_path / "tensor.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("text.pt", "pickle.pt", "tensor.pt", "list.pt", "none.pt"):
        with pytest.raises(Error, match=name):
            foreign.read(tmp_path / name)
