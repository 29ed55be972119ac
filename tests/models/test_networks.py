"""What every network must do, whatever it is: a new file in models/ is tested here without a line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

import models
from models import Shape
from models.generator import CLASSES
from tasks import kinds
from tasks.datasets.data import Info
from tasks.learning import weights
from tasks.learning.tensors import Examples
from tests import backbone

SHAPE = Shape(inputs=3, outputs=5, size=32, extra={CLASSES: 5})


# Parts of a captioner that choose among an image's regions: of 32 pixels there is one, and nothing to choose.
CHOOSING = (".norms.1.", ".query.")
# Networks that find things of one class alone.
ONE_CLASS = ("centerface", "averaged_centerface")


def shape(name: str) -> Shape:
    return replace(SHAPE, outputs=1) if name in ONE_CLASS else SHAPE


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.build(name, shape(name), {})


def images() -> torch.Tensor:
    return torch.rand(4, SHAPE.inputs, SHAPE.size, SHAPE.size, generator=torch.Generator().manual_seed(1))


def kind(name: str) -> str:
    """The kind of task that a network is for: the one that its file names, or image to image where it says how far a pixel sees."""
    return models.kind(name) or ("translate" if hasattr(network(name), "context") else "classify")


def channels(name: str) -> int:
    """Of the images that a network makes; the analytic one has a filter's single channel, whatever is asked for."""
    return 1 if name == "analytic" else SHAPE.outputs


@pytest.mark.parametrize("name", models.names())
def test_the_output_has_the_shape_of_its_kind(name: str) -> None:
    net = network(name)
    outputs = net.train(kind(name) != "detect")(images())
    size = (SHAPE.size, SHAPE.size)
    expected = {
        "classify": (4, SHAPE.outputs), "translate": (4, channels(name), *size), "detect": (4, getattr(net, "most", 0), 6),
        "compress": (4, SHAPE.inputs, *size), "caption": (4, 23), "embed": (4, 128), "generate": (4, SHAPE.inputs, *size),
    }  # fmt: skip
    assert outputs.shape == expected[kind(name)]
    assert outputs.isfinite().all()


def examples(name: str) -> Examples:
    """Four images, and targets of the network's kind: labels, pictures, or boxes of every class and several sizes."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (4, SHAPE.size, SHAPE.size, SHAPE.inputs), np.uint8)
    rows = [[[4.0, 4, 4 + side, 4 + side, label, 0] for label, side in enumerate((8, 12, 16, 20, 26))]] * 3
    targets = {
        "classify": torch.tensor([0, 4, 2, 1]),
        "translate": torch.from_numpy(rng.integers(0, 256, (4, SHAPE.size, SHAPE.size, channels(name)), np.uint8)),
        # The last image has none.
        "detect": torch.tensor([*rows, [[0, 0, 0, 0, -1, 0]] * 5]),
        # A codec's target is the image.
        "compress": torch.from_numpy(pixels),
        # Start, words and end of two sentences each, and fill.
        "caption": torch.tensor([[[1, 4, 4, 2, 0], [1, 4, 2, 0, 0]]] * 4),
        # Of five "words", the last of which is one.
        "embed": torch.full((4, 2, 3), 4),
        "generate": torch.tensor([0, 4, 2, 1]),
    }
    images, found = torch.from_numpy(pixels), targets[kind(name)]
    if kind(name) == "embed":
        return Examples({"images": images, "sentences": found, "labels": torch.full((4,), -1)})
    return Examples({"images": images, "sentences" if kind(name) == "caption" else "targets": found})


class Gradients(dict[str, Callable[[torch.Tensor], None]]):
    """Updates of parts that take the gradients of each, and no step; every interval is over, and every part is due."""

    def every(self, interval: int) -> bool:
        return True

    def due(self, name: str) -> bool:
        return True


def losses(name: str) -> tuple[str, ...]:
    return get_args(kinds.find(kind(name)).Recipe.model_fields["loss"].annotation)


@pytest.mark.parametrize(
    ("name", "loss"), [(n, loss) for n in models.names() if models.count_parameters(network(n)) for loss in losses(n)]
)
def test_gradients_of_its_kinds_losses_reach_every_parameter(name: str, loss: str) -> None:
    net = network(name)
    recipe = kinds.find(kind(name)).Recipe(epochs=1, batch_size=4, loss=loss, optimizer={"lr": 0.1})
    info = Info(
        name="made", dataset="made", task=kind(name), origin="", licence="", size=SHAPE.size, channels=SHAPE.inputs,
        classes=("a", "b", "c", "d", "e"), counts={}, mean=(0.5,) * 3, std=(0.2,) * 3, skipped=0, hash="", settings={},
    )  # fmt: skip
    if hasattr(net, "backbone"):
        net.backbone.load_pretrained(backbone.tensors())
    objective = kinds.part(kind(name), "objective").Objective(recipe, info, net, "fp32")
    train = examples(name)
    objective.begin(train, 0, 0)
    net.train()
    inputs, targets = objective.draw(train, torch.arange(4), np.random.default_rng(0))
    parts = net.parts() if hasattr(net, "parts") else {"network": net}
    values = objective.step(inputs, targets, Gradients({part: lambda loss: loss.backward(retain_graph=True) for part in parts}))
    assert "loss" in values
    assert all(value.isfinite() for value in values.values())
    # Frozen ones learn nothing.
    idle = CHOOSING if kind(name) == "caption" else ()
    learning = [(key, p) for key, p in net.named_parameters() if p.requires_grad and not any(part in key for part in idle)]
    still = [key for key, p in learning if p.grad is None or not p.grad.isfinite().all() or p.grad.abs().sum() == 0]
    assert still == []


@pytest.mark.parametrize("name", [n for n in models.names() if kind(n) == "translate" and hasattr(network(n), "context")])
def test_a_pixel_sees_no_further_than_its_context(name: str) -> None:
    """What tiles rely on: a change further away than `context` changes nothing."""
    net = network(name).eval()
    size = 2 * (net.context // net.multiple + 2) * net.multiple
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(2)).requires_grad_()
    middle = size // 2
    (gradient,) = torch.autograd.grad(net(image)[0, :, middle, middle].sum(), image)
    seen = gradient.abs().sum((0, 1)).nonzero()
    assert (seen - middle).abs().max() <= net.context


@pytest.mark.parametrize("name", models.names())
def test_saved_and_loaded_it_gives_the_same_numbers_twice(name: str, tmp_path: Path) -> None:
    configuration = weights.Configuration(
        experiment="test",
        task="any",
        network=name,
        architecture={},
        inputs=3,
        outputs=shape(name).outputs,
        size=32,
        extra=dict(SHAPE.extra),
        seed=0,
        git_commit="",
        data_hash="",
    )
    net = network(name).to(memory_format=torch.channels_last).eval()
    weights.save(tmp_path / "net.safetensors", net, configuration)
    loaded, read = weights.load(tmp_path / "net.safetensors")
    assert read == configuration
    with torch.inference_mode():
        first = net(images())
        assert torch.equal(first, loaded(images()))
        assert torch.equal(first, loaded(images()))


@pytest.mark.parametrize("name", models.names())
def test_it_is_built_without_memory_for_its_budget(name: str) -> None:
    with torch.device("meta"):
        net = models.build(name, shape(name), {})
    assert models.count_parameters(net) == models.count_parameters(network(name))
    assert all(p.is_meta for p in net.parameters())


@pytest.mark.parametrize("name", models.names())
def test_its_file_says_what_it_is(name: str) -> None:
    text = (models.module(name).__doc__ or "").strip()
    assert len(text.splitlines()[0]) > 20


def test_an_unknown_network_or_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown network 'cnnn'; did you mean cnn"):
        models.build("cnnn", SHAPE, {})
    with pytest.raises(ValueError, match=r"architecture\.depth: .* cnn takes widths, pools, batch_norm, init, backward"):
        models.build("cnn", SHAPE, {"depth": 3})


def test_the_cnn_refuses_pools_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="allowed: 0 to 1"):
        models.build("cnn", SHAPE, {"widths": (4, 4), "pools": (2,)})
    with pytest.raises(ValueError, match="leave nothing"):
        models.build("cnn", Shape(1, 2, 2), {"widths": (4, 4), "pools": (0, 1)})


def test_the_published_autoencoder_has_its_parameters() -> None:
    """3x3 convolutions 3-16-32, transposed 32-16-1 with biases, and two values a channel for each batch norm."""
    expected = (3 * 16 + 16 * 32 + 32 * 16 + 16 * 1) * 9 + (16 + 32 + 16 + 1) * 3
    assert models.count_parameters(models.build("autoencoder", Shape(3, 1, 64), {"widths": (16, 32)})) == expected
