"""The filter itself as fixed convolutions: grey, Gaussian blur, Sobel, magnitude. Nothing is learned.

It is the upper bound of what a network can learn at a fixed scale, and a check of the targets: below about 55 dB, which rounding
to bytes costs, one of the two is wrong.
"""

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.layers import reflect

LUMA = (0.299, 0.587, 0.114)


class Analytic(nn.Module):
    """(N, 3 or 1, H, W) to (N, 1, H, W), of any height and width."""

    multiple = 1
    mix: Tensor
    blur: Tensor
    sobel: Tensor

    def __init__(self, inputs: int, sigma: float, gain: float) -> None:
        super().__init__()
        half = int(4 * sigma + 0.5)
        gauss = torch.exp(-0.5 * (torch.arange(-half, half + 1) / sigma) ** 2)
        smooth, slope = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])
        gradients = torch.stack([smooth.outer(slope), slope.outer(smooth)])
        self.context, self.reach, self.gain = half + 1, half, gain
        self.register_buffer("mix", torch.tensor(LUMA if inputs == 3 else [1 / inputs] * inputs).view(1, -1, 1, 1))
        self.register_buffer("blur", gauss / gauss.sum())
        self.register_buffer("sobel", gradients.unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            grey = F.conv2d(x.float(), self.mix)
            blurred = F.conv2d(reflect(grey, self.reach, self.reach), self.blur.view(1, 1, 1, -1))
            blurred = F.conv2d(blurred, self.blur.view(1, 1, -1, 1))
            return self.gain * F.conv2d(reflect(blurred, 1, 1), self.sobel).square().sum(1, keepdim=True).sqrt()

    def parts(self) -> dict[str, nn.Module]:
        """Nothing has an optimiser."""
        return {}

    def training_step(self, inputs: Tensor, targets: Tensor, updates: object) -> dict[str, Tensor]:
        return {"loss": F.l1_loss(self(inputs), targets)}


def build(shape: Shape, *, sigma: PositiveFloat = 1.3, gain: PositiveFloat = 0.5) -> Analytic:
    """`sigma`: of the blur, in pixels. `gain`: grey levels for each unit of the Sobel magnitude."""
    return Analytic(shape.inputs, sigma, gain)
