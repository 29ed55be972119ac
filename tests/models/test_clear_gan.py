"""Generators that can make exact black: what is clipped, what learns there, and that samples are clear of haze."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from models import Shape
from models.clear_gan import Stretched, clipped

BEYOND = st.floats(-3, 3, width=32)


@settings(deadline=None)
@given(BEYOND, st.floats(-2, 2, width=32), st.floats(-1, 0, width=32))
def test_a_step_leads_back_into_the_range_and_never_further_out(value: float, slope: float, edge: float) -> None:
    x = torch.tensor([value], requires_grad=True)
    y = clipped(x, edge)
    assert y.item() == pytest.approx(-1 if x.item() < edge else min(1, max(-1, value)))
    y.backward(torch.tensor([slope]))
    outward = (value <= -1 and slope > 0) or (value >= 1 and slope < 0)
    assert x.grad.item() == pytest.approx(0 if outward else slope)


def test_black_learns_to_be_white_and_a_plain_clip_does_not() -> None:
    for clip, learns in ((lambda x: clipped(x, -0.9), True), (lambda x: x.clamp(-1, 1), False)):
        x = torch.tensor([-1.5], requires_grad=True)
        optimizer = torch.optim.SGD([x], 0.1)
        for _ in range(60):
            optimizer.zero_grad()
            (clip(x) - 1).square().sum().backward()
            optimizer.step()
        assert (x.item() > 0.9) == learns


@given(st.floats(0, 0.4), st.floats(1, 2))
@settings(deadline=None)
def test_what_is_darker_than_black_is_black_and_the_rest_is_left(black: float, stretch: float) -> None:
    x = torch.linspace(-4, 4, 101)
    found = (Stretched(stretch, black)(x) + 1) / 2
    level = ((stretch * x.tanh() + 1) / 2).clamp(0, 1)
    assert torch.allclose(found[level > black + 1e-4], level[level > black + 1e-4], atol=1e-6)
    assert (found[level < black - 1e-4] == 0).all()


def test_fakes_are_black_where_they_are_dark_and_learn_there() -> None:
    network = models.build("clear_gan", Shape(1, 1, 16), {"latent": 4, "generator": 4, "discriminator": 4})
    last = network.generator[-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(-1.3)
    fake = network.generator(torch.randn(4, 4))
    assert (fake == -1).all()
    (-fake.sum()).backward()
    assert last.bias.grad.item() < 0
    with torch.inference_mode():
        assert (network.eval().sample(4, torch.Generator().manual_seed(0)) == 0).all()


def test_the_layers_are_the_courses_but_for_the_last() -> None:
    clear = models.build("clear_gan", Shape(1, 1, 16), {"generator": 8, "discriminator": 4})
    known = models.build("gan", Shape(1, 1, 16), {"layers": "conv", "generator": [8], "discriminator": [4]})
    assert isinstance(clear.generator[-1], Stretched)
    assert [(n, t.shape) for n, t in clear.state_dict().items()] == [(n, t.shape) for n, t in known.state_dict().items()]
