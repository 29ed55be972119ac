"""Our compact classifier: few, wide convolutions that soon work on small maps, after a first layer that is not learned.

The form is ResNet-9's of DAWNBench (Page 2018, How to train your ResNet) and airbench's (Jordan 2024, 94 % on CIFAR-10 in 3.29
seconds): in each stage a 3x3 convolution, 2x2 max pooling, batch norm and activation, then a residual branch of `depth`
convolutions. Such maps fill a processor's matrix units, where ResNet-20's 16 channels leave them half empty. As in airbench the
first layer whitens 2x2 patches and is not learned; ours needs no data for that: Haar's transform of opponent colours decorrelates
natural images, and a batch norm gives each of its 12 channels the same variance.
"""

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models import Shape

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class Whitening(nn.Module):
    """2x2 patches in Haar's basis, colours as luminance and two differences: (N, C, H, W) to (N, 4 C, H - 1, W - 1)."""

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colours = torch.eye(channels)
        if channels == 3:
            colours = torch.tensor([[1.0, 1, 1], [1, 0, -1], [-1, 2, -1]])
            colours = colours / colours.norm(dim=1, keepdim=True)
        haar = torch.tensor([[[1.0, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
        weight = torch.einsum("kc,fyx->kfcyx", colours, haar)
        self.register_buffer("weight", weight.reshape(4 * channels, channels, 2, 2), persistent=False)
        self.norm = nn.BatchNorm2d(4 * channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(nn.functional.conv2d(x, self.weight))
        return out


class Stage(nn.Module):
    """Convolution - pooling - batch norm - activation, then x + f(x): (N, C, H, W) to (N, C', H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int, depth: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(outputs), activation()
        )
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), activation()]
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        out: Tensor = x + self.branch(x)
        return out


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def build(
    shape: Shape,
    *,
    widths: tuple[PositiveInt, ...] = (32, 80, 112),
    depth: PositiveInt = 1,
    activation: Literal["relu", "gelu", "silu"] = "gelu",
) -> nn.Module:
    """`widths`: channels of each stage. `depth`: convolutions of its residual branch."""
    inputs = 4 * shape.inputs
    stages: list[nn.Module] = []
    for width in widths:
        stages.append(Stage(inputs, width, depth, ACTIVATIONS[activation]))
        inputs = width
    return nn.Sequential(
        Whitening(shape.inputs),
        *stages,
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, shape.outputs, bias=False),
        Scale(0.125),
    )
