"""Layers that several families share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """Subtract the training images' mean and divide by their standard deviation, channel by channel: (N, C, H, W) to the same."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def reflect(x: Tensor, height: int, width: int) -> Tensor:
    """Borders reflected with the edge pixel repeated (b a | a b c), as the targets' are: (N, C, H, W) to (N, C, H + 2 height, W + 2 width).

    An image is at least `height` pixels high and `width` wide.
    """
    if width:
        x = torch.cat([x[..., :width].flip(-1), x, x[..., -width:].flip(-1)], -1)
    if height:
        x = torch.cat([x[..., :height, :].flip(-2), x, x[..., -height:, :].flip(-2)], -2)
    return x
