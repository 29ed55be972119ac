"""A network that knows three words, and photographs of what they name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

import models
from tasks.finding.encoders import Ours
from tasks.learning import weights
from tasks.learning.tensors import to_float
from tasks.words.vocabulary import SPECIAL
from tests import backbone

COLOURS = {"red": (220, 20, 30), "green": (20, 200, 40), "blue": (30, 40, 230)}
WORDS = (*SPECIAL, *COLOURS)
SIZE = 32


def picture(colour: str, width: int = SIZE, height: int = SIZE) -> np.ndarray:
    """A picture of one colour, uint8 (H, W, 3)."""
    return np.full((height, width, 3), COLOURS[colour], np.uint8)


def learned(path: Path) -> Path:
    """Write the weights of a network that has learned the colours, in a second, and return their path."""
    torch.manual_seed(0)
    configuration = weights.Configuration(
        experiment="colours", task="embed", network="clip", architecture={"space": 8, "width": 8, "dropout": [0, 0], "missing": 0.0}, inputs=3,
        outputs=len(WORDS), size=SIZE, classes=WORDS, extra={"words": len(WORDS)}, seed=0, git_commit="", data_hash="",
    )  # fmt: skip
    network = configuration.build()
    assert isinstance(network, models.module("clip").Clip)
    squares = np.stack([picture(colour) for colour in COLOURS])
    pixels = to_float(torch.from_numpy(squares))
    network.backbone.load_pretrained(backbone.tensors())
    with torch.no_grad():
        features = network.eval().features(pixels)
    sentences = torch.tensor([[4], [5], [6]])
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.02)

    def update(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(40):
        network.training_step(features, sentences, {"network": update})
    weights.save(path, network, configuration)
    return path


def photographs(here: Path) -> Path:
    """Make a folder of six photographs and two files that are none, and return it."""
    (here / "deep").mkdir(parents=True)
    for number, colour in enumerate([*COLOURS] * 2):
        PIL.Image.fromarray(picture(colour, 60 + number, 48)).save(
            here / ("deep" if number > 2 else "") / f"{colour}{number}.png"
        )
    (here / "broken.jpg").write_bytes(b"no photograph")
    (here / "notes.txt").write_text("nothing")
    return here


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learned(tmp_path_factory.mktemp("weights") / "colours.safetensors")


@pytest.fixture(scope="session")
def encoder(weights_file: Path) -> Ours:
    return Ours(weights_file, "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return photographs(tmp_path / "photographs")


@pytest.fixture
def make(weights_file: Path) -> Callable[[], Ours]:
    return lambda: Ours(weights_file, "cpu")
