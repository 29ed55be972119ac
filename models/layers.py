"""Layers that several families share."""

from collections.abc import Sequence
from typing import Literal

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


Init = Literal["kaiming", "xavier", "normal"]


def initialise(network: nn.Module, init: Init) -> None:
    """Draw the weights of linear and convolutional layers anew, and set their biases to 0.

    `kaiming`: normal, variance 2 / fan-in (He et al. 2015); `xavier`: uniform, variance 2 / (fan-in + fan-out) (Glorot and
    Bengio 2010); `normal`: a standard deviation of 0.01 whatever the size.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            match init:
                case "kaiming":
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                case "xavier":
                    nn.init.xavier_uniform_(module.weight)
                case "normal":
                    nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
