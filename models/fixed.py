"""Convolutions in integers, equal on every processor.

Values are integers in units of 2**-8 and weights in units of 2**-12. Sums are formed in float64, and kept in float32 once they are rounded.
Float64 holds every integer up to 2**53, and no sum here can be larger, so each product and each partial sum is exact: neither their order,
nor threads, nor fused operations change a bit, and no library has a mode in which float64 is computed with fewer digits.

A 3x3 convolution takes half of the products that it has: down each column Winograd's F(4, 3), which has 6 in place of 12 for four places below one
another (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"). Multiplied by 24 its factors are integers, and the division
at the end leaves no remainder: it is as exact, and gives the same integers.
"""

import torch
from torch import Tensor, nn

FRACTION = 8  # bits of values
WEIGHT_FRACTION = 12  # bits of weights
LARGEST, LARGEST_WEIGHT, MOST_INPUTS = 2**21, 2**15, 2**14
EXACT = 2**53  # the largest magnitude up to which float64 holds every integer
STRIP = 512  # places whose sums are formed at a time: they stay in a processor's cache until they are rounded

# Winograd's F(4, 3): of 6 values below one another what is multiplied, of 3 weights (24 times) what it is multiplied with, and of the products 4 sums.
BELOW = 4
OF_VALUES = torch.tensor(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    dtype=torch.float64,
)  # fmt: skip
OF_WEIGHTS = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64)
OF_PRODUCTS = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
TIMES = 24


def integers(x: Tensor, fraction: int = FRACTION) -> Tensor:
    """The nearest integers in units of 2**-fraction, float64."""
    return (x.double() * 2**fraction).round()


class Fixed:
    """Convolutions of one network; its weights are rounded once. Call it as `models.codec.Convolve`."""

    def __init__(self) -> None:
        self.weights: dict[nn.Conv2d, tuple[Tensor, Tensor]] = {}

    @staticmethod
    def of(module: nn.Conv2d) -> tuple[Tensor, Tensor]:
        """The integers of a convolution: weights (taps, out, inputs) and biases (out,), the latter in units of 2**-20.

        Raises ValueError for one of too many inputs, whose sums might not be exact.
        """
        assert module.bias is not None
        if (inputs := module.weight[0].numel()) >= MOST_INPUTS:
            raise ValueError(f"a sum over {inputs} inputs may not be exact; allowed: fewer than {MOST_INPUTS}")
        # A matrix for each place of the kernel.
        taps = integers(module.weight.detach(), WEIGHT_FRACTION).flatten(2).permute(2, 0, 1).contiguous()
        bias = integers(module.bias.detach(), FRACTION + WEIGHT_FRACTION)
        return taps.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT), bias.clamp(-(2.0**50), 2.0**50)

    def _scaled(self, module: nn.Conv2d) -> tuple[Tensor, Tensor]:
        """What values are multiplied with, and biases (out,) with half a unit more, so that rounding is to take the floor.

        Weights are (inputs, out) of a 1x1 convolution, (3, 6, inputs, out) of one of 3x3: for each column of the kernel Winograd's factors. What
        is then summed is TIMES as large, and so is the bias. Division by a power of two is exact. Raises ValueError where weights are so large
        that a sum might not be.
        """
        if module not in self.weights:
            taps, bias = self.of(module)
            unit = 2.0**WEIGHT_FRACTION
            weights, bias = taps[0].mT, bias + unit / 2
            if len(taps) > 1:
                weights, bias = torch.einsum("iy,yxoc->xico", OF_WEIGHTS, taps.unflatten(0, (3, 3))), TIMES * bias
                factors = LARGEST * OF_VALUES.abs().sum(1)[:, None] * weights.abs().sum((0, 2))
                if (OF_PRODUCTS.abs() @ factors + bias.abs()).max() >= EXACT:
                    raise ValueError("a convolution's weights are so large that its sums may not be exact")
            self.weights[module] = weights.contiguous() / unit, bias / unit
        return self.weights[module]

    @torch.inference_mode()
    def __call__(self, module: nn.Conv2d, x: Tensor) -> Tensor:
        """(1, C, H, W) to (1, C', H, W), float32 and channels last, of convolutions of 1x1 and 3x3 whose output has the input's size."""
        weights, bias = self._scaled(module)
        convolution = _places if weights.ndim == 2 else _columns
        return convolution(x[0].permute(1, 2, 0), weights, bias).permute(2, 0, 1)[None]


def _places(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution of (H, W, C)."""
    places = x.flatten(0, 1)
    result = torch.empty(len(places), len(bias))
    values, sums = (torch.empty(STRIP, size, dtype=torch.float64) for size in weights.shape)
    for strip, into in zip(places.split(STRIP), result.split(STRIP)):
        given, found = values[: len(strip)], sums[: len(strip)]
        torch.addmm(bias, given.copy_(strip).clamp_(-LARGEST, LARGEST), weights, out=found)
        into.copy_(found.floor_().clamp_(-LARGEST, LARGEST))
    return result.view(*x.shape[:2], -1)


def _columns(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution of (H, W, C), with a border of zeros."""
    height, width = x.shape[:2]
    _, many, inputs, outputs = weights.shape
    wide = width + 2
    result = torch.empty(height, width, outputs)
    bands = max(1, min(STRIP // wide, -(-height // BELOW)))
    values = torch.zeros(BELOW * bands + 2, wide, inputs, dtype=torch.float64)
    factors, products = (torch.empty(many, bands, wide * size, dtype=torch.float64) for size in (inputs, outputs))
    sums = torch.empty(BELOW, wide * outputs, dtype=torch.float64)
    bias = bias.repeat(wide)
    for top in range(0, height, BELOW * bands):
        rows = x[max(0, top - 1) : top + BELOW * bands + 1]
        above = 1 if top == 0 else 0
        values[:above] = values[above + len(rows) :] = 0
        values[above : above + len(rows), 1:-1].copy_(rows).clamp_(-LARGEST, LARGEST)
        for band in range(bands):
            torch.mm(OF_VALUES, values[BELOW * band :][: len(OF_PRODUCTS) + 2].flatten(1), out=factors[:, band])
        # Bands one behind the other: each column of the kernel sees the same places, shifted. What reaches over an end is not taken.
        seen, found = (x.view(many, bands * wide, -1) for x in (factors, products))
        found = found[:, :-2]
        torch.bmm(seen[:, :-2], weights[0], out=found)
        for column in (1, 2):
            torch.baddbmm(found, seen[:, column : column + found.shape[1]], weights[column], out=found)
        for band, into in enumerate(result[top : top + BELOW * bands].split(BELOW)):
            torch.addmm(bias, OF_PRODUCTS, products[:, band], out=sums)
            sums.div_(TIMES).floor_().clamp_(-LARGEST, LARGEST)
            into.copy_(sums.view(BELOW, wide, -1)[: len(into), :width])
    return result
