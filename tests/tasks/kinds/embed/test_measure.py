"""An evaluation of two encoders on made data: numbers both ways, tables, pictures; and the objective's own numbers on validation."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from tasks import kinds
from tasks.datasets import data
from tasks.datasets.data import Data, Info
from tasks.kinds.embed import Recipe, measure, objective, use
from tasks.kinds.embed import data as embed_data
from tasks.learning import weights
from tasks.learning.measuring import Out, Test
from tasks.learning.tensors import Examples
from tests import backbone
from tests.tasks.kinds.embed.conftest import WORDS


@pytest.fixture
def trained(folder: Path) -> tuple[Any, Any, Info]:
    """A network that has learned the colours by the kind's own objective, and the objective."""
    info = data.info(folder)
    configuration = weights.Configuration(
        experiment="made", task="embed", network="clip", architecture={"space": 8, "width": 8, "dropout": [0, 0], "missing": 0.0}, inputs=3,
        outputs=len(WORDS), size=32, classes=WORDS, extra=info.extra, seed=0, git_commit="", data_hash="",
    )  # fmt: skip
    network: Any = configuration.build()
    train = Examples.of(embed_data.examples(Data(folder, "train")), "cpu")
    network.backbone.load_pretrained(backbone.tensors())
    recipe = Recipe(epochs=1, batch_size=3, loss="contrastive", optimizer={"lr": 0.1}, augment={"flip": True})
    own = objective.Objective(recipe, info, network, "fp32")
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.02)

    def update(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    own.begin(train, 0, 0)
    network.train()
    rng = np.random.default_rng(0)
    for _ in range(40):
        own.step(*own.draw(train, torch.arange(3), rng), {"network": update})  # type: ignore[arg-type]
    return network, own, info


def test_validation_has_the_loss_and_every_metric(folder: Path, trained: tuple[Any, Any, Info]) -> None:
    network, own, _ = trained
    found = own.measure(network, Examples.of(embed_data.examples(Data(folder, "val")), "cpu"))
    assert {*found} == {*kinds.metrics("embed")}
    assert {name: value for name, value in found.items() if name != "loss"} == dict.fromkeys({*found} - {"loss"}, 1.0)
    assert found["loss"] < 1


def test_a_batch_is_one_sentence_of_each_image(folder: Path, trained: tuple[Any, Any, Info]) -> None:
    _, own, _ = trained
    train = Examples.of(embed_data.examples(Data(folder, "train")), "cpu")
    chosen = set()
    for seed in range(8):
        inputs, sentences = own.draw(train, torch.tensor([2, 0]), np.random.default_rng(seed))
        assert inputs.shape == (2, 1280)
        for image, sentence in zip((2, 0), sentences):
            [place] = (train["sentences"][image] == sentence).all(1).nonzero()[0].tolist()
            chosen.add((image, place))
    assert chosen == {(0, 0), (0, 1), (2, 0), (2, 1)}


def test_an_evaluation_measures_and_writes(folder: Path, trained: tuple[Any, Any, Info], tmp_path: Path) -> None:
    network, own, info = trained
    test = Test(network, SimpleNamespace(), Data(folder, "test"), info, own.recipe, "fp32", torch.device("cpu"), {})  # type: ignore[arg-type]
    outputs, numbers = measure.measure(test)
    assert numbers == dict.fromkeys({*kinds.metrics("embed")} - {"loss"}, 1.0)
    assert outputs.images.shape == (3, 8)
    assert outputs.owner.tolist() == [0, 0, 1, 1, 2, 2]
    out = Out(tmp_path / "plots", tmp_path / "tables", tmp_path / "predictions")
    for place in (out.plots, out.tables, out.predictions):
        place.mkdir()
    measure.write(test, outputs, out)
    assert {file.name for file in out.plots.iterdir()} == {figure.file for figure in kinds.find("embed").FIGURES}
    table = pd.read_csv(out.tables / "retrieval.csv")
    assert table["metric"].tolist() == [f"recall{k}_{query}" for query in ("image", "text") for k in (1, 5, 10)]
    assert table["candidates"].tolist() == [3] * 3 + [6] * 3
    assert pd.read_csv(out.tables / "zero_shot.csv")["crops"].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_both_encoders_are_the_same_as_onnx(trained: tuple[Any, Any, Info], tmp_path: Path) -> None:
    network, _, info = trained
    configuration = weights.Configuration(
        experiment="made", task="embed", network="clip", architecture={}, inputs=3, outputs=len(WORDS), size=32, classes=WORDS, seed=0,
        git_commit="", data_hash="",
    )  # fmt: skip
    use.export(network, configuration, tmp_path / "made.onnx")
    images = torch.rand(3, 3, 32, 32)
    numbers = torch.from_numpy(embed_data.encoded(info, ["red", "bright blue", "nothing known", "green red"]))
    with torch.inference_mode():
        expected = {"made.onnx": (images, network(images)), "made.sentences.onnx": (numbers, network.encode_sentences(numbers))}
    for file, (given, vectors) in expected.items():
        session = onnxruntime.InferenceSession(tmp_path / file)
        [found] = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        assert np.asarray(found) == pytest.approx(vectors.numpy(), abs=1e-4)
