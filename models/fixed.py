"""Convolutions in integers, equal on every processor.

Values are integers in units of 2**-8 and weights in units of 2**-12. Sums are formed in float64: products of at most 2**21 and 2**15 over fewer
than 2**14 inputs stay below 2**51. Float64 holds every integer up to 2**53, so each product and each partial sum is exact: neither their order,
nor threads, nor fused operations change a bit, and no library has a mode in which float64 is computed with fewer digits.
"""

import torch
from torch import Tensor, nn

FRACTION = 8  # bits of values
WEIGHT_FRACTION = 12  # bits of weights
LARGEST, LARGEST_WEIGHT, MOST_INPUTS = 2**21, 2**15, 2**14
STRIP = 512  # places whose sums are formed at a time


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
        """Weights (taps, inputs, out) and biases (out,) whose sums are values, and half a unit more, so that rounding is to take the floor.

        Division by a power of two is exact.
        """
        if module not in self.weights:
            taps, bias = self.of(module)
            unit = 2.0**WEIGHT_FRACTION
            self.weights[module] = taps.mT.contiguous() / unit, (bias + unit / 2) / unit
        return self.weights[module]

    @torch.inference_mode()
    def __call__(self, module: nn.Conv2d, x: Tensor) -> Tensor:
        """(1, C, H, W) to (1, C', H, W), float64 and channels last, of convolutions whose output has the input's size."""
        taps, bias = self._scaled(module)
        height, width = x.shape[2:]
        border = module.kernel_size[0] // 2
        wide = width + 2 * border
        places = x[0].permute(1, 2, 0)
        if border:
            # Rows one behind the other, with a border between them: each tap of the kernel sees the same values, shifted.
            padded = torch.zeros(height + 2 * border + 1, wide, x.shape[1], dtype=torch.float64)
            padded[border : border + height, border : border + width] = places
            places = padded
        places = places.flatten(0, 1)
        result = torch.empty(height * wide, len(bias), dtype=torch.float64)
        # As many at a time as stay in a processor's cache from the first tap until they are rounded.
        reach = 2 * border * (wide + 1)
        strip = torch.empty(STRIP + reach, x.shape[1], dtype=torch.float64)
        for first in range(0, len(result), STRIP):
            sums = result[first : first + STRIP]
            many = len(sums)
            seen = strip[: many + reach].copy_(places[first : first + many + reach]).clamp_(-LARGEST, LARGEST)
            torch.addmm(bias, seen[:many], taps[0], out=sums)
            for place, tap in enumerate(taps[1:], 1):
                row, column = divmod(place, module.kernel_size[1])
                sums.addmm_(seen[row * wide + column :][:many], tap)
            sums.floor_().clamp_(-LARGEST, LARGEST)
        return result.view(height, wide, -1)[:, :width].permute(2, 0, 1)[None]
