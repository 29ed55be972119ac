"""Fractional max pooling against torch's own, and the published network's shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import models
from models import Shape, fractional
from models.fractional import Activation, Convolution, FractionalMaxPool2d, central, geometric, regions


def test_the_published_network_has_its_parameters() -> None:
    assert models.count_parameters(models.build("fractional", Shape(3, 10, 32), {})) == 875_592
    assert models.count_parameters(models.build("fractional", Shape(3, 10, 32), {"bias": False})) == 874_921
    assert geometric(46, 210, 6) == [46, 62, 84, 114, 155, 210]
    assert geometric(32, 2, 7) == [32, 20, 13, 8, 5, 3, 2]


@given(inputs=st.integers(3, 40), share=st.floats(0, 1), draws=st.lists(st.floats(0, 0.999), min_size=1, max_size=4))
def test_windows_cover_the_line_in_steps_of_one_or_more(inputs: int, share: float, draws: list[float]) -> None:
    outputs = max(1, round(share * (inputs - 1)))
    starts = regions(inputs, outputs, torch.tensor(draws))
    assert starts.shape == (len(draws), outputs)
    assert (starts[:, -1] == inputs - 2).all()
    assert (starts >= 0).all()
    assert (starts.diff() >= 1).all()


@given(seed=st.integers(0, 1000), size=st.integers(4, 17), channels=st.integers(1, 5), count=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_pooling_is_that_of_torch_for_the_same_draws(seed: int, size: int, channels: int, count: int) -> None:
    outputs = max(2, round(size / 1.6))
    torch.manual_seed(seed)
    # Whole numbers: equal ones occur, and their gradient goes to the first of a window, as torch has it.
    x = torch.randint(0, 50, (count, channels, size, size)).double().to(memory_format=torch.channels_last)
    ours, theirs = x.clone().requires_grad_(), x.clone().contiguous().requires_grad_()
    torch.manual_seed(seed)
    y = FractionalMaxPool2d(outputs)(ours)
    torch.manual_seed(seed)
    draws = torch.stack([torch.rand(count), torch.rand(count)]).double()
    # torch takes them as (N, C, 2), columns before rows, in the images' precision.
    samples = draws.flip(0).T[:, None, :].expand(count, channels, 2).contiguous()
    expected = F.fractional_max_pool2d(theirs, 2, output_size=outputs, _random_samples=samples)
    assert torch.equal(y, expected)
    weights = torch.randn(y.shape, dtype=torch.float64)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None
    # Of equal values torch takes the last in rows and columns: the sum over the image is the same.
    torch.testing.assert_close(ours.grad.sum((2, 3)), theirs.grad.sum((2, 3)))  # type: ignore[union-attr]


def test_gradients_go_to_the_largest_pixel() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64).to(memory_format=torch.channels_last)
    pool = FractionalMaxPool2d(5)

    def fixed(images: Tensor) -> Tensor:
        torch.manual_seed(1)
        out: Tensor = pool(images)
        return out

    assert torch.autograd.gradcheck(fixed, x.requires_grad_())


def test_windows_are_spread_as_those_of_torch() -> None:
    """Over many draws each start occurs as often: a window's maximum of rising numbers tells where it ends."""
    line = torch.arange(32.0).expand(4000, 1, 32, 32)
    torch.manual_seed(0)
    ours = FractionalMaxPool2d(20)(line.to(memory_format=torch.channels_last))[:, 0, 0]
    theirs = F.fractional_max_pool2d(line.contiguous(), 2, output_size=20)[:, 0, 0]
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), atol=0.05, rtol=0)


@pytest.mark.parametrize(("inputs", "outputs"), [(32, 20), (20, 13), (13, 8), (8, 5), (5, 3), (3, 2)])
def test_in_evaluation_windows_lie_where_they_do_on_average(inputs: int, outputs: int) -> None:
    mean = regions(inputs, outputs, torch.rand(4000, generator=torch.Generator().manual_seed(0))).double().mean(0)
    fixed = regions(inputs, outputs, torch.tensor([central(inputs, outputs)]))[0]
    assert (fixed - mean).abs().max() < 0.55
    assert abs(float((fixed - mean).mean())) < 0.2


def test_each_image_draws_in_training_and_none_in_evaluation() -> None:
    x = torch.rand(1, 1, 32, 32).expand(8, -1, -1, -1)
    pool = FractionalMaxPool2d(20)
    drawn = pool.train()(x)
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(pool.eval()(x), pool.eval()(x))


@given(st.floats(-60, 60))
def test_the_activation_is_x_plus_mish(value: float) -> None:
    ours = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    y, expected = Activation()(ours), theirs + F.mish(theirs)
    y.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_activation_never_falls() -> None:
    """So that pooling before it gives what pooling after it gives."""
    x = torch.linspace(-40, 40, 100_001, dtype=torch.float64)
    assert (Activation()(x).diff() >= 0).all()


def test_pooling_before_or_after_the_activation_is_the_same() -> None:
    x = torch.randn(2, 3, 16, 16)
    pool = FractionalMaxPool2d(10).eval()
    torch.testing.assert_close(Activation()(pool(x)), pool(Activation()(x)))


def test_what_is_filled_up_with_zeros_changes_no_number() -> None:
    torch.manual_seed(0)
    ours = Convolution(3, 5, [(3, 3)], bias=True, batch_norm=True)
    theirs = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5))
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(4, 3, 8, 8)
    for training in (True, True, False):
        y, expected = ours.train(training)(x), theirs.train(training)(x)
        assert y.shape == (4, 16, 8, 8)
        torch.testing.assert_close(y[:, :5], expected)
        assert not y[:, 5:].any()
    y.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert ours.norm is not None
    torch.testing.assert_close(ours.norm.running_var, theirs[1].running_var)  # type: ignore[union-attr]


def test_the_table_holds_the_activation_and_its_slope_rounded_once() -> None:
    x = torch.randn(3, 4, 5, 6).mul(8).bfloat16().to(memory_format=torch.channels_last).requires_grad_()
    exact = x.detach().double().requires_grad_()
    expected = exact + F.mish(exact)
    y = Activation()(x)
    y.sum().backward()
    expected.sum().backward()
    assert x.grad is not None
    assert exact.grad is not None
    assert torch.equal(y, expected.bfloat16())
    assert torch.equal(x.grad, exact.grad.bfloat16())
    with torch.inference_mode():
        fractional._tables.cache_clear()
        assert torch.equal(Activation()(x.detach()), y)
    (again,) = torch.autograd.grad(Activation()(x).sum(), x)
    assert torch.equal(again, x.grad)
    flat = x.detach().flatten(1)
    assert torch.equal(Activation()(flat), y.flatten(1))


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("architecture", [{}, {"split": True}, {"pool": "strided"}, {"convolutions": 3}])
def test_it_is_built_for_other_sizes(size: int, architecture: dict[str, object]) -> None:
    network = models.build("fractional", Shape(1, 7, size), architecture)
    assert network(torch.rand(2, 1, size, size)).shape == (2, 7)


def test_too_many_poolings_are_refused() -> None:
    with pytest.raises(ValueError, match="25 are too many to shrink 32 pixels"):
        models.build("fractional", Shape(3, 10, 32), {"convolutions": 25})
