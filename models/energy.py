"""An energy model: a mix of the colours, a few linear filters, and the root of their summed squares.

After the motion energy of Adelson and Bergen (1985): the magnitude of a pair of filters, with every weight learned. It has the
form of "grey, blur, Sobel, magnitude", so a few dozen weights can learn it from pairs of images; 40 dB is expected of it at a
fixed scale of the targets.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models import Shape
from models.layers import reflect


class Energy(nn.Module):
    """(N, C, H, W) to (N, C', H, W), of any height and width."""

    multiple = 1

    def __init__(self, inputs: int, outputs: int, filters: int, kernel: int, separable: bool) -> None:
        super().__init__()
        half = kernel // 2
        self.context, self.outputs = half, outputs
        filters *= outputs
        self.mix = nn.Conv2d(inputs, 1, 1, bias=False)
        self.filters: nn.Module
        if separable:
            self.filters = nn.Sequential(
                nn.Conv2d(1, filters, (1, kernel), bias=False),
                nn.Conv2d(filters, filters, (kernel, 1), groups=filters, bias=False),
            )
        else:
            self.filters = nn.Conv2d(1, filters, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        responses = (
            self.filters(reflect(self.mix(x), self.context, self.context)).float().unflatten(1, (self.outputs, -1))
        )  # (N, C', filters, H, W)
        # The root has no slope at zero.
        return torch.sqrt(responses.square().sum(2) + 1e-8)


def build(shape: Shape, *, filters: PositiveInt = 2, kernel: PositiveInt = 9, separable: bool = True) -> Energy:
    """`filters`: how many for each channel out; `kernel`: their side in pixels, odd; `separable`: a row times a column each."""
    if kernel % 2 == 0:
        raise ValueError(f"architecture.kernel: {kernel} is even; allowed: odd numbers")
    return Energy(shape.inputs, shape.outputs, filters, kernel, separable)
