import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tasks.common.errors import Error
from tasks.learning import weights


def configuration() -> weights.Configuration:
    return weights.Configuration(
        experiment="one", task="classify", network="cnn", architecture={"widths": [4]}, inputs=3, outputs=2, size=8,
        classes=("a", "b"), mean=(0.5,) * 3, std=(0.2,) * 3, seed=0, git_commit="c0ffee", data_hash="abc",
    )  # fmt: skip


def test_a_compiled_network_is_saved_under_plain_names(tmp_path: Path) -> None:
    network = configuration().build()
    network.compile()
    weights.save(tmp_path / "net.safetensors", network, configuration())
    loaded, read = weights.load(tmp_path / "net.safetensors")
    assert read == configuration()
    assert list(loaded.state_dict()) == list(configuration().build().state_dict())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such weights"):
        weights.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(Error, match="not a weights file"):
        weights.load(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(Error, match="not a weights file"):
        weights.load(tmp_path / "other.safetensors")


def test_weights_of_another_version_of_the_network_are_refused(tmp_path: Path) -> None:
    tensors = {f"1.{key}": value for key, value in torch.nn.Linear(2, 2).state_dict().items()}
    save_file(tensors, tmp_path / "old.safetensors", metadata={"darkroom": configuration().model_dump_json()})
    with pytest.raises(Error, match=r"made by another version of models/cnn\.py; .* dvc repro train@one"):
        weights.load(tmp_path / "old.safetensors")


def test_a_changed_byte_and_a_value_that_is_not_finite_are_said(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    network = configuration().build()
    weights.save(path, network, configuration())
    assert weights.verified(path) == path
    content = bytearray(path.read_bytes())
    path.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    assert weights.verified(path) == path
    content[-9] ^= 1
    path.write_bytes(content)
    weights.load(path)
    with pytest.raises(Error, match=r"damaged: its SHA-256 is not the one in net\.json"):
        weights.verified(path)
    path.with_suffix(".json").unlink()
    with torch.no_grad():
        next(network.parameters()).view(-1)[3] = torch.nan
    weights.save(path, network, configuration())
    with pytest.raises(Error, match="values that are not finite"):
        weights.verified(path)
    for text in ("[]", "{}", "{"):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(Error, match="not a weights file"):
            weights.verified(path)
