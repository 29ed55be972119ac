"""Our compact classifier with the mirror built in: an image and its mirror image get the same answer.

The form of `models.compact`, as a network that is equivariant to the group of two elements, identity and reflection (Cohen and Welling
2016, Group equivariant convolutional networks). Each feature has two maps, one as it is seen and one as it is seen in a mirror, whose
filters share their weights: of as many channels a layer has half the parameters, and what a feature means is learned for both sides at once.
The last layer averages the two, so that the answer depends on no side. That is exact where the pooling is symmetric, for images whose
side is a power of two. Such a network gains nothing from flipped training images or from averaging over them in test.
"""

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models import Shape
from models.compact import ACTIVATIONS, Scale, Whitening


class Lift(nn.Module):
    """The features of an image and those of its mirror image, mirrored back: (N, C, H, W) to (N, 2 C', H', W')."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        # In one batch, so that a batch norm sees both.
        seen, mirrored = self.features(torch.cat([x, x.flip(3)])).chunk(2)
        return torch.cat([seen, mirrored.flip(3)], 1)


class MirrorConv(nn.Conv2d):
    """3x3 convolution of pairs of maps to pairs of maps: (N, 2 inputs, H, W) to (N, 2 outputs, H, W) (section 6.2).

    `weight` makes the maps that are seen. Those in the mirror come from the mirrored filters, which look at the inputs in exchanged roles.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(2 * inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mirrored = self.weight.flip(3).roll(self.in_channels // 2, 1)
        return nn.functional.conv2d(x, torch.cat([self.weight, mirrored]), padding=1)


class MirrorNorm(nn.BatchNorm2d):
    """Batch norm that treats the two maps of a feature as one of twice the width: (N, 2 C, H, W) to the same."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        # With channels last these are views.
        wide = x.permute(0, 2, 3, 1).reshape(n, height, 2 * width, channels // 2).permute(0, 3, 1, 2)
        return super().forward(wide).permute(0, 2, 3, 1).reshape(n, height, width, channels).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Convolution - pooling - batch norm - activation, then x + f(x): (N, 2 C, H, W) to (N, 2 C', (H - 1) / 2, (W - 1) / 2)."""

    def __init__(self, inputs: int, outputs: int, depth: int, activation: type[nn.Module]) -> None:
        super().__init__()
        # Windows of 3 with a step of 2 cover 31, 15 and 7 pixels from side to side, where windows of 2 leave out the last column.
        self.down = nn.Sequential(MirrorConv(inputs, outputs), nn.MaxPool2d(3, 2), MirrorNorm(outputs), activation())
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [MirrorConv(outputs, outputs), MirrorNorm(outputs), activation()]
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        out: Tensor = x + self.branch(x)
        return out


class Average(nn.Module):
    """The mean of a feature and its mirror image: (N, 2 C) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        seen, mirrored = x.chunk(2, 1)
        return (seen + mirrored) / 2


def build(
    shape: Shape,
    *,
    widths: tuple[PositiveInt, ...] = (24, 48, 56),
    depth: PositiveInt = 1,
    activation: Literal["relu", "gelu", "silu"] = "gelu",
) -> nn.Module:
    """`widths`: features of each stage, of two channels each. `depth`: convolutions of its residual branch."""
    inputs = 4 * shape.inputs
    stages: list[nn.Module] = []
    for width in widths:
        stages.append(Stage(inputs, width, depth, ACTIVATIONS[activation]))
        inputs = width
    return nn.Sequential(
        Lift(Whitening(shape.inputs)),
        *stages,
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        Average(),
        nn.Linear(inputs, shape.outputs, bias=False),
        Scale(0.125),
    )
