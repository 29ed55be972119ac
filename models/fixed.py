"""Convolutions in integers, equal on every processor.

Values are integers in units of 2**-8 and weights in units of 2**-12. Sums are formed in float64: products of at most 2**21 and 2**15 over fewer
than 2**14 inputs stay below 2**51. Float64 holds every integer up to 2**53, so each product and each partial sum is exact: neither their order,
nor threads, nor fused operations change a bit, and no library has a mode in which float64 is computed with fewer digits. Between convolutions
values are held in float32, which is exact up to 2**24.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRACTION = 8  # bits of values
WEIGHT_FRACTION = 12  # bits of weights
LARGEST, LARGEST_WEIGHT, MOST_INPUTS = 2**21, 2**15, 2**14
# Places whose sums are formed at once, which bounds memory.
PLACES = 1 << 13


def integers(x: Tensor, fraction: int = FRACTION) -> Tensor:
    """The nearest integers in units of 2**-fraction, float64."""
    return (x.double() * 2**fraction).round()


class Fixed:
    """Convolutions of one network; its weights are rounded once. Call it as `models.codec.Convolve`."""

    def __init__(self) -> None:
        self.weights: dict[nn.Conv2d, tuple[Tensor, Tensor]] = {}

    def of(self, module: nn.Conv2d) -> tuple[Tensor, Tensor]:
        """The integers of a convolution: weights (out, inputs) and biases (out, 1), the latter in units of 2**-20.

        Raises ValueError for one of too many inputs, whose sums might not be exact.
        """
        if module not in self.weights:
            assert module.bias is not None
            rows = integers(module.weight.detach().flatten(1), WEIGHT_FRACTION).clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)
            if rows.shape[1] >= MOST_INPUTS:
                raise ValueError(f"a sum over {rows.shape[1]} inputs may not be exact; allowed: fewer than {MOST_INPUTS}")
            bias = integers(module.bias.detach()[:, None], FRACTION + WEIGHT_FRACTION)
            self.weights[module] = rows, bias.clamp(-(2.0**50), 2.0**50)
        return self.weights[module]

    @torch.inference_mode()
    def __call__(self, module: nn.Conv2d, x: Tensor) -> Tensor:
        """(1, C, H, W) to (1, C', H, W), float32, of convolutions whose output has the input's size."""
        rows, bias = self.of(module)
        height, width = x.shape[2:]
        result = torch.empty(1, len(rows), height, width)
        border = module.kernel_size[0] // 2
        if not border:
            for places, sums in zip(x[0].flatten(1).split(PLACES, 1), result[0].flatten(1).split(PLACES, 1)):
                sums.copy_(_rounded(rows, places, bias))
            return result
        wide = F.pad(x, (border,) * 4)
        step = max(1, PLACES // width)
        for top in range(0, height, step):
            columns = F.unfold(wide[:, :, top : top + step + 2 * border], module.kernel_size)[0]
            result[0, :, top : top + step] = _rounded(rows, columns, bias).view(len(rows), -1, width)
        return result


def _rounded(rows: Tensor, columns: Tensor, bias: Tensor) -> Tensor:
    sums = (rows @ columns.clamp(-LARGEST, LARGEST).double()).add_(bias)
    return sums.mul_(2.0**-WEIGHT_FRACTION).add_(0.5).floor_().clamp_(-LARGEST, LARGEST)
