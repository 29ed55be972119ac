"""Checkpoints that are damaged, or of another training."""

import logging
import pickle
from pathlib import Path

import pytest
import torch

from tasks.learning import checkpoint, loop
from tests.tasks.learning.toy import INFO, Made, Rivals, Stopped, examples, recipe, rivals, stop_after


def fit(path: Path | None, stop: int | None = None) -> tuple[Rivals, list[float]]:
    network, seen = rivals(), []

    def on_epoch(row: dict[str, float]) -> None:
        seen.append(row["epoch"])
        if stop:
            stop_after(stop)(row)

    loop.fit(network, examples(), examples(1), Made(recipe(), INFO, network, "fp32"), 0, path, "f", on_epoch=on_epoch)
    return network, seen


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "other", "pickle"])
def test_a_damaged_checkpoint_is_put_aside_and_named_and_training_begins_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "seed-0.pt"
    with pytest.raises(Stopped):
        fit(path, stop=2)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("<html>not found</html>")
    elif damage == "flipped":
        # The directory at the end of the archive.
        path.write_bytes(content[:-200] + bytes(byte ^ 255 for byte in content[-200:]))
    elif damage == "other":
        torch.save([1, 2, 3], path)
    else:
        # Nothing but tensors and numbers is unpickled.
        path.write_bytes(pickle.dumps(Path("anything"), protocol=2))
    damaged = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        network, seen = fit(path)
    assert seen == [1, 2, 3, 4, 5]
    assert (tmp_path / "seed-0.pt.damaged").read_bytes() == damaged
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(path) in said
    assert "cannot be read" in said
    assert "renamed to seed-0.pt.damaged, and the training begins anew" in said
    whole, _ = fit(None)
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_checkpoint_of_another_training_is_left_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seed-0.pt"
    with pytest.raises(Stopped):
        fit(path, stop=2)
    assert checkpoint.load(path, "f", 0) is not None
    assert checkpoint.load(path, "another", 0) is None
    assert checkpoint.load(path, "f", 1) is None
    assert checkpoint.load(tmp_path / "none.pt", "f", 0) is None
    assert {file.name for file in tmp_path.iterdir()} == {"seed-0.pt"}
    assert not caplog.records
