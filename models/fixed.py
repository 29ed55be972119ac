"""Convolutions in integers, equal on every processor.

Values are integers in units of 2**-8 and weights in units of 2**-12. Sums are formed in float64: products of at most 2**21 and 2**15 over fewer
than 2**14 inputs stay below 2**51. Float64 holds every integer up to 2**53, so each product and each partial sum is exact: neither their order,
nor threads, nor fused operations change a bit, and no library has a mode in which float64 is computed with fewer digits.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRACTION = 8  # bits of values
WEIGHT_FRACTION = 12  # bits of weights
LARGEST, LARGEST_WEIGHT, MOST_INPUTS = 2**21, 2**15, 2**14


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
            # (taps, out, inputs): a matrix for each place of the kernel.
            taps = integers(module.weight.detach(), WEIGHT_FRACTION).clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)
            taps = taps.flatten(2).permute(2, 0, 1).contiguous()
            if taps[0, 0].numel() * len(taps) >= MOST_INPUTS:
                raise ValueError(
                    f"a sum over {taps[0, 0].numel() * len(taps)} inputs may not be exact; allowed: fewer than {MOST_INPUTS}"
                )
            bias = integers(module.bias.detach()[:, None], FRACTION + WEIGHT_FRACTION)
            self.weights[module] = taps, bias.clamp(-(2.0**50), 2.0**50)
        return self.weights[module]

    @torch.inference_mode()
    def __call__(self, module: nn.Conv2d, x: Tensor) -> Tensor:
        """(1, C, H, W) to (1, C', H, W), float64, of convolutions whose output has the input's size."""
        taps, bias = self.of(module)
        height, width = x.shape[2:]
        border = module.kernel_size[0] // 2
        x = x.double().clamp(-LARGEST, LARGEST)
        if not border:
            return _rounded(torch.addmm(bias, taps[0], x[0].flatten(1))).view(1, -1, height, width)
        # Rows one behind the other, with a border between them: each place of the kernel sees the same values, shifted.
        wide = width + 2 * border
        flat = F.pad(x, (border,) * 4)[0].flatten(1)
        flat = F.pad(flat, (0, 2 * border))
        sums = bias.expand(-1, height * wide).contiguous()
        for place, tap in enumerate(taps):
            row, column = divmod(place, module.kernel_size[1])
            sums.addmm_(tap, flat[:, row * wide + column :][:, : height * wide])
        return _rounded(sums.view(len(sums), height, wide)[:, :, :width])[None]


def _rounded(sums: Tensor) -> Tensor:
    return (sums * 2.0**-WEIGHT_FRACTION).add_(0.5).floor_().clamp_(-LARGEST, LARGEST)
