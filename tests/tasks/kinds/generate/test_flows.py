"""Latent flows and generators with styles, from their predecessor to samples that follow a sentence."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import models
from models import Shape, sentences
from models.generator import CLASSES
from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.kinds.generate import halves, measure, styles, use
from tasks.learning import weights
from tasks.learning.tensors import to_float
from tasks.profile import Profile
from tasks.sample import sample
from tasks.train import train
from tests.tasks.kinds.generate.conftest import SMALL, make

__all__ = ["make"]
FLOW = {"network": "latent_flow", "after": "plain", "architecture": {"autoencoder": SMALL, "width": 16, "blocks": 2}}
STYLES = {"network": "stylegan", "architecture": {"latent": 4, "width": 2}, "train": {"ema": 0.9, "ema_parts": ["generator"]}}
Make = Callable[..., Profile]


def test_a_flow_is_trained_in_the_z_of_its_predecessor_and_measured(make: Make) -> None:
    normalising = {**FLOW, "architecture": {**FLOW["architecture"], "flow": "normalising"}}  # type: ignore[dict-item]
    profile = make(plain={}, flow=FLOW, normalising=normalising)
    for name in ("sizes", "plain", "flow", "normalising"):
        train(profile, name)
    before, _ = weights.load(profile.weights("plain"))
    network, _ = weights.load(profile.weights("flow"))
    kept = network.autoencoder.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in before.state_dict().items())
    assert {"fid_small", "class_share"} <= {*evaluate(profile, "flow")["metrics"]}
    assert "log_likelihood_z" in evaluate(profile, "normalising")["metrics"]
    assert (profile.results("normalising") / "plots" / "reconstruction.png").exists()


def test_a_flow_without_its_predecessor_is_refused(make: Make) -> None:
    with pytest.raises(Error, match="after: the experiment whose autoencoder"):
        make(flow={**FLOW, "after": "none"})


def test_a_network_that_takes_no_predecessor_is_given_none(make: Make) -> None:
    with pytest.raises(Error, match="after: the experiment whose autoencoder"):
        make(plain={}, other={"after": "plain"})


def test_a_predecessor_of_another_architecture_is_refused_before_training(make: Make) -> None:
    profile = make(plain={}, flow={**FLOW, "architecture": {"autoencoder": {"latent": 3, "widths": [8, 8]}}})
    train(profile, "plain")
    with pytest.raises(Error, match=r"architecture\.autoencoder: not the architecture"):
        train(profile, "flow")


def test_styles_are_trained_measured_and_shown(make: Make, tmp_path: Path) -> None:
    profile = make(styled=STYLES)
    for name in ("sizes", "styled"):
        train(profile, name)
    result = evaluate(profile, "styled")
    assert {"path_length_z", "path_length_w", "fid_small"} <= {*result["metrics"]}
    assert {"mixing.png", "truncation.png"} <= {path.name for path in (profile.results("styled") / "plots").iterdir()}
    (path,) = sample(profile, "styled", tmp_path / "mean.png", 4, grid=True, truncation=0.0, mix=3)
    (other,) = sample(profile, "styled", tmp_path / "own.png", 4, grid=True, truncation=1.0)
    assert path.read_bytes() != other.read_bytes()
    with pytest.raises(Error, match="text: styled follows no sentences"):
        sample(profile, "styled", tmp_path / "text.png", 4, grid=True, text="a seven")


def configuration(classes: tuple[str, ...]) -> weights.Configuration:
    return weights.Configuration(
        experiment="flow", task="generate", network="latent_flow", architecture={}, inputs=1, outputs=1, size=16, classes=classes, seed=0,
        git_commit="", data_hash="",
    )  # fmt: skip


def flow(classes: int) -> Any:
    return models.build("latent_flow", Shape(1, 1, 16, {CLASSES: classes}), {"autoencoder": SMALL, "width": 16}).eval()


def test_a_sentence_asks_for_its_class() -> None:
    network, pairs = flow(100), configuration(sentences.sentences(100))
    asked = use.make(network, pairs, 3, 0, asked="a three and a seven")
    assert np.array_equal(use.make(network, pairs, 3, 0, text="three, seven"), asked)
    assert not np.array_equal(use.make(network, pairs, 3, 0, text="seven, three"), asked)
    assert use.said(flow(10), configuration(tuple("0123456789")), "a seven") == "7"


def test_what_no_network_can_follow_is_a_sentence() -> None:
    network, pairs = flow(100), configuration(sentences.sentences(100))
    with pytest.raises(Error, match="did you mean seven"):
        use.make(network, pairs, 1, 0, text="a sevn and a three")
    with pytest.raises(Error, match="names 3 digits"):
        use.make(network, pairs, 1, 0, text="a one and a two and a three")
    with pytest.raises(Error, match="count: 1,000,000,000,000 samples take"):
        use.make(network, pairs, 10**12, 0, text="a three and a seven")
    with pytest.raises(Error, match="give one of them"):
        use.make(network, pairs, 1, 0, text="a one and a two", asked="a one and a two")
    with pytest.raises(Error, match="follows no sentences"):
        use.make(flow(10), configuration(("a", *"123456789")), 1, 0, text="a one")
    for key, value in (("truncation", 0.5), ("mix", 1)):
        with pytest.raises(Error, match=f"{key}: latent_flow has no styles"):
            use.make(network, pairs, 1, 0, **{key: value})  # type: ignore[arg-type]


class Answers(halves.Halves):
    """A judge that reads the digit that the first pixel of a half holds."""

    def __init__(self) -> None:
        self.configuration = SimpleNamespace(classes=tuple("0123456789"), size=28)  # type: ignore[assignment]


def test_the_halves_of_a_pair_are_judged_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.kinds.generate.features import Judge

    def look(self: Judge, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        digit = (255 * images[:, 0, 0, 0]).round().long().numpy()
        return digit[:, None].astype(float), digit

    monkeypatch.setattr(Judge, "look", look)
    square = np.zeros((2, 56, 56, 1), np.uint8)
    square[:, 14:42, :28] = np.array([3, 9])[:, None, None, None]
    square[:, 14:42, 28:] = np.array([7, 0])[:, None, None, None]
    features, seen = Answers().look(to_float(torch.from_numpy(square)))
    assert seen.tolist() == [37, 90]
    assert features.tolist() == [[3, 7], [9, 0]]


def test_classes_that_training_never_saw_are_counted_apart() -> None:
    class Judge:
        def look(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
            return np.random.default_rng(len(images)).normal(size=(len(images), 3)), np.array([0, 1, 2, 0][: len(images)])

    images, asked = torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 2])
    known = np.array([True, False, True])
    numbers = measure._judged(Judge(), images, images, asked, 3, known)  # type: ignore[arg-type]
    assert numbers["class_share"] == pytest.approx(2 / 3)
    assert numbers["class_share_unseen"] == 1
    assert "class_share_unseen" not in measure._judged(Judge(), images, images, asked, 3, np.ones(3, bool))  # type: ignore[arg-type]


def test_a_table_of_mixed_styles_has_its_sources_at_the_edges() -> None:
    network: Any = models.build("stylegan", Shape(1, 1, 16), {"latent": 4, "width": 2}).eval()
    table = styles.mixed(network, 2)
    assert table.shape == (9, 16, 16, 1)
    assert not table[0].any()
    assert styles.truncated(network, 2).shape == (10, 16, 16, 1)
    assert pd.Series(styles.path_lengths(network, 4)).ge(0).all()
