"""Coefficients on a grid of blocks: what their bits are, and what is known of one from others."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Base-2 logarithms of the least and the greatest scale of a coefficient.
NARROW, WIDE = -5.0, 8.0
# The least share of a value, which bounds its bits.
LEAST = 2.0**-30


class _Bits(torch.autograd.Function):
    """Bits of values under logistic distributions that are integrated over an interval of length 1.

    Its gradients are written out: those that autograd forms keep ten times as many tensors. One that would raise a scale below the least
    passes.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, means: Tensor, scales: Tensor) -> Tensor:
        narrow = torch.exp2(-scales.clamp(NARROW, WIDE))
        signed = values - means
        distance = signed.abs()
        upper, lower = (0.5 - distance) * narrow, (-0.5 - distance) * narrow
        above, below = upper.sigmoid(), lower.sigmoid()
        share = (above - below).clamp_min_(LEAST)
        context.save_for_backward(signed, scales, narrow, upper, lower, above, below, share)
        return -share.log2()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        signed, scales, narrow, upper, lower, above, below, share = context.saved_tensors
        # Of natural logarithms: the densities at both ends, over the share between them.
        given = gradients[0] / share
        first, second = given * above * (1 - above), given * below * (1 - below)
        by_value = (first - second) * narrow * signed.sign() / math.log(2)
        by_scale = first * upper - second * lower
        by_scale = by_scale * (((scales >= NARROW) | (by_scale < 0)) & (scales <= WIDE))
        return by_value, -by_value, by_scale


def bits(values: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Bits of values under logistic distributions that are integrated over an interval of length 1.

    `scales` are base-2 logarithms of the distributions' scale, which is sqrt(3) / pi of a standard deviation. Tails are wider than a
    Gaussian's: of a scale that is not known for certain.
    """
    found: Tensor = _Bits.apply(*torch.broadcast_tensors(values, means, scales))
    return found


def logarithms(x: Tensor) -> Tensor:
    """The base-2 logarithm of one more than the magnitude, with the sign: what scales follow."""
    return torch.copysign(torch.log2(1 + x.abs()), x)


def around(x: Tensor) -> Tensor:
    """The values above, below, left and right of each place: (N, C, H, W) to (N, 4 C, H, W), 0 beyond the border."""
    height, width = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1))
    return torch.cat([wide[:, :, y : y + height, x_ : x_ + width] for y, x_ in ((0, 1), (2, 1), (1, 0), (1, 2))], 1)


def board(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Which places of a checkerboard come second, bool (height, width)."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    return (y[:, None] + x) % 2 == 1
