"""Embedded weights are used as they were promoted, or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import models
from tasks.common.errors import Error
from tasks.faces.detector import read
from tasks.faces.emotions import Emotions
from tasks.faces.face_weights import find
from tasks.profile import Profile
from tests.tasks.people import QUICK


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded weights, which the parameters' `embedded` stands for."""
    copy = shutil.copytree(Path(models.__path__[0]) / "weights", tmp_path / "models" / "weights")
    monkeypatch.setattr(models, "__path__", [str(tmp_path / "models"), *models.__path__])
    return copy


@pytest.mark.parametrize("name", ["face", "emotion"])
def test_a_few_changed_bytes_are_a_sentence(make_profile: Callable[..., Profile], folder: Path, name: str) -> None:
    profile = make_profile()
    assert find(profile, QUICK).faces.parent == folder
    path = folder / f"{name}.safetensors"
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    content[-4000::100] ^= 0xFF  # 40 of them
    path.write_bytes(content.tobytes())
    with pytest.raises(Error, match=rf"{name}\.safetensors: damaged: .*git checkout"):
        find(profile, QUICK)
    with pytest.raises(Error, match="damaged"):
        read(path) if name == "face" else Emotions.load(path)


def test_weights_without_their_card_are_not_used(make_profile: Callable[..., Profile], folder: Path) -> None:
    (folder / "emotion.json").unlink()
    with pytest.raises(Error, match=r"emotion\.json: no such file; it comes with the code"):
        find(make_profile(), QUICK)
