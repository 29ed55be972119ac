"""The codec begins as the DCT; its model of coefficients knows what a decoder knows; integers give what floats give."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn

import models
from models import Shape, codec, coefficients
from models.fixed import FRACTION, LARGEST, WEIGHT_FRACTION, Fixed, integers

SMALL = {"width": 32, "blocks": 1, "features": 12, "hidden": 32, "hyper": 8}


def small() -> codec.Codec:
    torch.manual_seed(0)
    network = models.build("codec", Shape(3, 3, 64), SMALL)
    assert isinstance(network, codec.Codec)
    return network.eval()


def test_the_sizes() -> None:
    assert models.count_parameters(models.build("codec", Shape(3, 3, 64), {})) == pytest.approx(1.07e6, rel=0.01)
    assert models.count_parameters(small()) < 200_000


def test_the_linear_transform_begins_as_the_dct_of_ycbcr() -> None:
    block = np.random.default_rng(0).random((8, 8, 3))
    luma = block @ [0.299, 0.587, 0.114]
    pixels = torch.nn.functional.pixel_unshuffle(torch.from_numpy(block).permute(2, 0, 1)[None].float(), 8)
    found = torch.nn.functional.conv2d(pixels, codec.dct()[..., None, None])[0, :, 0, 0].numpy()
    expected = dctn(luma, norm="ortho")
    assert found[0] == pytest.approx(expected[0, 0], abs=1e-4)
    assert found[3:9:3] == pytest.approx([expected[0, 1], expected[1, 0]], abs=1e-4)
    assert found[-3] == pytest.approx(expected[7, 7], abs=1e-4)


def test_a_higher_level_leaves_less_error_and_takes_more_bits() -> None:
    network = small()
    image = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        bits, errors = zip(
            *[(b.item(), (x - image).square().mean().item()) for b, x in (network.measure(image, t) for t in (0, 2.5, 5))]
        )
    assert bits[0] < bits[1] < bits[2]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("place", [(2, 3), (3, 3)])
def test_a_coefficient_is_not_its_own_context(place: tuple[int, int]) -> None:
    """Means and scales of a place depend on coarser groups and, in the second half, on its neighbours: never on what is decoded later."""
    network = small()
    rounded = torch.zeros(1, codec.CHANNELS, 8, 8, requires_grad=True)
    with torch.no_grad():
        features = network.features(torch.randn(1, 8, 2, 2), torch.full((1, 1, 2, 2), 0.5))
    start = 0
    for (means, scales), size in zip(network.parameters_of(features, rounded), network.sizes, strict=True):
        (gradient,) = torch.autograd.grad((means + scales)[0, :, *place].sum(), rounded, retain_graph=True, allow_unused=True)
        seen = torch.zeros_like(rounded) if gradient is None else gradient
        own = seen[0, start : start + size].abs().sum(0)
        second = coefficients.board(8, 8)
        assert not own[second].any(), "of its own group a place sees the first half alone"
        assert bool(own.any()) == bool(second[place])
        assert not seen[0, start + size :].any(), "and nothing of finer groups"
        start += size


def test_bits_are_those_of_the_integrated_distribution() -> None:
    values = torch.arange(-40.0, 41)
    found = coefficients.bits(values, torch.tensor(0.3), torch.tensor(1.0))
    assert torch.exp2(-found).sum().item() == pytest.approx(1, abs=1e-4)


def test_gradients_of_bits_are_those_of_their_differences() -> None:
    random = torch.Generator().manual_seed(0)
    values, means, scales = ((torch.randn(200, generator=random, dtype=torch.double) * k).requires_grad_() for k in (1, 1, 1))
    # Where bits are bounded, gradients are not those of the bound.
    assert coefficients.bits(values, means, scales).max() < 29.9
    assert torch.autograd.gradcheck(coefficients.bits, (values, means, scales), atol=1e-5)


@pytest.mark.parametrize("part", ["context", "hyperprior", "learned"])
def test_what_is_left_out_is_not_used(part: str) -> None:
    torch.manual_seed(0)
    network = models.build("codec", Shape(3, 3, 64), {**SMALL, part: False})
    assert isinstance(network, codec.Codec)
    updates = {"network": torch.Tensor.backward}
    values = network.train().training_step(torch.rand(2, 3, 64, 64), torch.tensor([1.0, 4.0]), updates)
    assert values["loss"].isfinite()
    assert models.count_parameters(network) < models.count_parameters(small())


def test_integers_give_what_floats_give() -> None:
    network = small()
    coefficients, plane = 4 * torch.randn(1, codec.CHANNELS, 8, 8), torch.full((1, 1, 8, 8), 0.5)
    with torch.inference_mode():
        expected = network.synthesise(coefficients, plane)
        found = network.synthesise(integers(coefficients).float(), integers(plane).float(), Fixed())
    assert torch.equal(found, found.round())
    assert (found / 2**FRACTION - expected).abs().max() < 0.05


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), inputs=st.integers(1, 5), kernel=st.sampled_from([1, 3]),
    largest=st.sampled_from([1, 2**8, LARGEST, 2 * LARGEST]), weight=st.sampled_from([0.01, 1.0, 9.0]), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_convolution_in_integers_is_its_sum_of_products(
    height: int, width: int, inputs: int, kernel: int, largest: int, weight: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    module = torch.nn.Conv2d(inputs, 3, kernel, padding=kernel // 2)
    with torch.no_grad():
        module.weight.uniform_(-weight, weight)
    x = random.integers(-largest, largest, (inputs, height, width), endpoint=True)
    taps, bias = (part.numpy().astype(np.int64) for part in Fixed.of(module))
    padded = np.pad(x.clip(-LARGEST, LARGEST), ((0, 0), *2 * ((kernel // 2, kernel // 2),)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))
    sums = np.einsum("chwyx,yxoc->ohw", windows, taps.reshape(kernel, kernel, 3, inputs)) + bias[:, None, None]
    unit = 1 << WEIGHT_FRACTION
    expected = ((sums + unit // 2) // unit).clip(-LARGEST, LARGEST)
    found = Fixed()(module, torch.from_numpy(x)[None].float())
    assert np.array_equal(found[0].numpy(), expected)


def test_sums_that_might_not_be_exact_are_refused() -> None:
    with pytest.raises(ValueError, match="may not be exact"):
        Fixed().of(torch.nn.Conv2d(2**14, 1, 1))
    large = torch.nn.Conv2d(1200, 1, 3, padding=1)
    with torch.no_grad():
        large.weight.fill_(8)
    with pytest.raises(ValueError, match="so large that its sums may not be exact"):
        Fixed()(large, torch.zeros(1, 1200, 4, 4))


def test_grey_images_are_refused() -> None:
    with pytest.raises(ValueError, match="takes colour images, not 1 channels"):
        models.build("codec", Shape(1, 1, 64), {})
