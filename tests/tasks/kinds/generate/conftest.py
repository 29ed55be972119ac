"""A profile of made digits: dark discs of three sizes, which a network learns in a second, prepared for generation and for its judge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tasks import config
from tasks.datasets.labelled import labelled
from tasks.datasets.records import Raw
from tasks.preprocess import prepare
from tasks.profile import Profile

SIZE = 16
TRAIN = {"epochs": 1, "batch_size": 16, "optimizer": {"name": "adam", "lr": 0.002}, "precision": "fp32", "val_samples": 30}
BASE = {
    "system": "vae", "data": "discs", "network": "vae", "seeds": [0], "published": [], "after": "none", "judge": "sizes", "sweep": "none",
}  # fmt: skip
SMALL = {"latent": 2, "widths": [16, 16]}


def discs() -> tuple[np.ndarray, np.ndarray]:
    """Grey images uint8 (N, 16, 16) of discs, and the class of each by its radius."""
    random = np.random.default_rng(0)
    labels = np.arange(120) % 3
    y, x = np.mgrid[:SIZE, :SIZE]
    centres = random.uniform(6, 10, (120, 2))
    distance = np.hypot(y - centres[:, 0, None, None], x - centres[:, 1, None, None])
    return (255 * (distance < 2 + 1.5 * labels[:, None, None])).astype(np.uint8), labels


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Profile]:
    """Make a profile of experiments, given as changes to a small VAE's; its data are prepared."""
    from tasks.datasets import readers

    def read(folder: Path, block: Any) -> Raw:
        images, labels = discs()
        return labelled({"train": (images, labels, "row")}, ("small", "middle", "large"))

    monkeypatch.setattr(readers, "read", read)

    def made(**experiments: dict[str, Any]) -> Profile:
        (tmp_path / "data" / "raw" / "mnist-5k").mkdir(parents=True)
        (tmp_path / "data" / "raw" / "mnist-5k" / "origin.json").write_text('{"origin": "package", "licence": "none"}')
        blocks = {
            name: {**BASE, "architecture": SMALL, **changes, "train": {**TRAIN, **changes.get("train", {})}}
            for name, changes in experiments.items()
        }
        judge = {
            **BASE, "judge": "none", "data": "sorted", "network": "cnn", "architecture": {"widths": [8, 8]},
            "train": {"epochs": 1, "batch_size": 16, "loss": "cross-entropy", "optimizer": {"name": "adam", "lr": 0.02}},
        }  # fmt: skip
        held = {"dataset": "mnist-5k", "size": SIZE, "validation": 21, "test": 30}
        params = {
            "root": ".", "device": "cpu", "download": {"mnist-5k": {}},
            "preprocess": {"discs": {**held, "task": "generate", "samples": 60}, "sorted": {**held, "task": "classify"}},
            "experiments": {**blocks, "sizes": judge},
        }  # fmt: skip
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        monkeypatch.chdir(tmp_path)
        profile = config.load(tmp_path)
        for name in ("discs", "sorted"):
            prepare(profile, name)
        return profile

    return made
