"""Painting: both publications' losses by hand, descent that descends, and works that go on where they stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.layers import Standardize
from models.mobilenet import MEAN, STD
from tasks.inside import backbones, style
from tasks.inside.backbones import BACKBONES, Backbone, Features
from tasks.inside.blur import blur
from tasks.inside.style import Painting, Settings

SIZE = 64


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Features:
    """A small backbone, and its entry in the table, of activations with scales that are not 1."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2), nn.ReLU(), nn.Conv2d(5, 6, 3))
    monkeypatch.setitem(BACKBONES, "small", Backbone(3, (1, 3), (1.0, 2.0, 1.0, 4.0, 1.0)))
    return Features(layers, Standardize(MEAN, STD)).eval().requires_grad_(False)


def picture(seed: int, height: int = SIZE, width: int = SIZE) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def plain_losses(network: Features, image: Tensor, content: Tensor, other: Tensor) -> tuple[float, float, float, float]:
    """By hand, in loops of numpy: sums of squares of the content's layer, and of Gram matrices of both layers (plain ones), and N, M of the last."""

    def layer(pixels: Tensor, number: int) -> np.ndarray:
        x = (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
        return network.layers[: number + 1](x)[0].double().numpy()

    mine, theirs = layer(image, 3), layer(content, 3)
    grams = []
    for number in (1, 3):
        both = []
        for pixels in (image, other):
            f = layer(pixels, number)
            both.append(
                np.array([[sum((f[i] * f[j]).ravel()) for j in range(len(f))] for i in range(len(f))]) / f[0].size / f.shape[0]
            )
        grams.append(float(((both[0] - both[1]) ** 2).sum()))
    return float(((mine - theirs) ** 2).sum()), grams[0], grams[1], 0.0


@pytest.mark.parametrize("recipe", ["squeezenet", "vgg19"])
def test_losses_are_the_published_formulas(network: Features, recipe: str) -> None:
    image, content, other = picture(1), picture(2), picture(3)
    chosen = Settings(recipe, "small", content=3.0, style=(5.0, 7.0), variation=11.0, unit=None)
    painting = Painting(network, content, [(other, 1.0)], chosen)
    hidden = (image - painting.mean) / painting.std if recipe == "squeezenet" else image
    losses = painting.objective(hidden, image)
    squares, first, second, _ = plain_losses(network, image, content, other)
    pixels = hidden[0].double().numpy()
    down, right = np.diff(pixels, axis=1), np.diff(pixels, axis=2)
    if recipe == "squeezenet":
        expected = 3 * squares, 5 * first + 7 * second, 11 * ((down**2).sum() + (right**2).sum())
    else:
        expected = 3 * squares / 2, (5 * first + 7 * second) / 4, 11 * (abs(down).sum() + abs(right).sum())
    for part, value in zip(style.PARTS, expected):
        assert float(losses[part]) == pytest.approx(value, rel=1e-4)


def test_gram_matrices_are_the_publications_but_for_their_factor(network: Features) -> None:
    """1/4 of squared differences of ours is 1/(4 N^2 M^2) of those of F F^T, N channels and M places."""
    one, other = (network(picture(n), [3])[0] for n in (1, 2))
    n, m = one.shape[1], one[0, 0].numel()
    plain = [(f[0].reshape(n, m) @ f[0].reshape(n, m).T) for f in (one, other)]
    published = float((plain[0] - plain[1]).square().sum()) / (4 * n**2 * m**2)
    assert float((style.gram(one) - style.gram(other)).square().sum()) / 4 == pytest.approx(published, rel=1e-4)


def test_weights_are_of_activations_of_one_scale(network: Features) -> None:
    """A network whose activations are ten times as large has the same losses, once its scales are known."""
    content, other, image = picture(1), picture(2), picture(3)
    chosen = Settings(backbone="small", unit=1.0)
    small = Painting(network, content, [(other, 1.0)], chosen).objective(image, image)
    last = network.layers[2]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.weight.mul_(10), last.bias.mul_(10)
    BACKBONES["small"] = Backbone(3, (1, 3), (1.0, 2.0, 1.0, 40.0, 1.0))
    large = Painting(network, content, [(other, 1.0)], chosen).objective(image, image)
    for part in style.PARTS:
        assert float(large[part]) == pytest.approx(float(small[part]), rel=1e-3)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_two_styles_by_halves_of_one_are_that_style(first: float, second: float) -> None:
    torch.manual_seed(0)
    network = Features(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), Standardize(MEAN, STD)).requires_grad_(False)
    BACKBONES["tiny"] = Backbone(1, (1,), (1.0, 1.0))
    try:
        chosen = Settings(backbone="tiny")
        whole = style.Objective(network, picture(1), [(picture(2), 1.0)], chosen).style
        parts = style.Objective(network, picture(1), [(picture(2), first), (picture(2), second)], chosen).style
        assert torch.allclose(whole[0], parts[0], rtol=1e-4)
    finally:
        del BACKBONES["tiny"]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "annealed"])
@pytest.mark.parametrize("recipe", ["squeezenet", "vgg19"])
def test_descent_descends(network: Features, recipe: str, optimizer: str) -> None:
    chosen = Settings(
        recipe,
        "small",
        steps=40,
        content=1e-3,
        style=(1e3,),
        variation=1e-4,
        optimizer=optimizer,
        start="noise",  # type: ignore[arg-type]
    )
    painting = Painting(network, blur(picture(1), 4), [(blur(picture(2), 2), 1.0)], chosen)
    start = painting.measure()["total"]
    while painting.done < painting.steps:
        painting.advance()
    assert painting.measure()["total"] < 0.8 * start
    assert [row["step"] for row in painting.losses] == list(range(40))
    shown = painting.picture()
    assert shown.shape == (1, 3, SIZE, SIZE)
    assert shown.min() >= 0
    assert shown.max() <= 1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "annealed"])
def test_a_painting_goes_on_as_if_it_had_never_stopped(network: Features, optimizer: str) -> None:
    chosen = Settings(backbone="small", steps=12, optimizer=optimizer, scales=2, start="noise")  # type: ignore[arg-type]
    content, styles = picture(1, 160, 130), [(picture(2, 100, 140), 1.0)]

    def made() -> Painting:
        return Painting(network, content, styles, chosen)

    whole = made()
    assert whole.sizes == [(80, 65), (160, 130)]
    for stop in (3, 6, 7, 12):
        part = made()
        while part.done < stop:
            part.advance()
        after = made()
        after.restore(part.state())
        while after.done < 12:
            after.advance()
        while whole.done < 12:
            whole.advance()
        assert torch.equal(after.picture(), whole.picture())
        assert after.losses == whole.losses


def test_colours_are_the_contents(network: Features) -> None:
    content, other = picture(1), picture(2)
    kept = style.recoloured(other, content)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    middle = style.recoloured(0.4 + 0.2 * other, 0.4 + 0.2 * content)
    light = (weights * (0.4 + 0.2 * other)).sum(1)
    assert torch.allclose((weights * middle).sum(1), light, atol=1e-5)
    assert torch.allclose(middle[:, 0] - middle[:, 1], 0.2 * (content[:, 0] - content[:, 1]), atol=1e-5)
    assert kept.shape == content.shape
    painting = Painting(network, content, [(other, 1.0)], replace(Settings(backbone="small", steps=1), colours=True))
    painting.advance()
    assert not torch.equal(painting.picture(), Painting(network, content, [(other, 1.0)], Settings(backbone="small")).picture())


def test_a_coarsest_scale_is_not_too_small() -> None:
    assert style.sizes(picture(1, 130, 200), 4) == [(65, 100), (130, 200)]
    assert style.sizes(picture(1, 64, 64), 3) == [(64, 64)]


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet_v2"])
def test_the_scales_of_a_backbone_are_those_of_its_activations(name: str) -> None:
    """Within a half: they were measured at 224 pixels, and here at 96 on one photograph."""
    from tasks.inside.painting import as_picture, photograph

    found = backbones.measured(name, as_picture(photograph("chelsea"), 96))
    scales = BACKBONES[name].scales
    assert len(found) == len(scales)
    assert all(0.4 < one / other < 2.5 for one, other in zip(found, scales))


def test_nothing_after_the_last_layer_is_computed(network: Features) -> None:
    called = []
    network.layers[4].register_forward_hook(lambda *_: called.append(1))
    assert [tuple(f.shape[1:2]) for f in network(picture(1), (3, 1))] == [(5,), (4,)]
    assert called == []
