"""A small residual network for faces of 48 pixels: ResNet-9's form (Page 2018, How to Train Your ResNet) at a fraction of its size.

A 3x3 convolution and a pooling, then stages of a convolution that widens, a residual block and a pooling; batch norm and ReLU after
every convolution; global average, dropout, linear. 3x3 convolutions of many channels on small maps are what a processor's matrix
units do best. At least 68 % is expected on FER2013, where DeepFace's network is reported at 57.4 % and VGG at 73.3 %.
"""

from pydantic import PositiveInt
from torch import Tensor, nn

from models import Shape


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Block(nn.Module):
    """x + f(x), (N, C, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*_convolution(width, width), *_convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.branch(x)
        return out


def build(
    shape: Shape,
    *,
    stem: PositiveInt = 32,
    widths: tuple[PositiveInt, ...] = (64, 128, 192),
    blocks: tuple[int, ...] = (1, 1, 1),
    dropout: float = 0.2,
) -> nn.Module:
    """`stem`: channels of the first convolution. `widths`, `blocks`: channels and residual blocks of each stage, each at half the
    size of the one before."""
    if len(blocks) != len(widths):
        raise ValueError(f"architecture.blocks: {len(blocks)} values for {len(widths)} widths; one a stage is needed")
    modules = _convolution(shape.inputs, stem)
    channels = stem
    for width, count in zip(widths, blocks):
        modules += [nn.MaxPool2d(2), *_convolution(channels, width), *(Block(width) for _ in range(count))]
        channels = width
    network = nn.Sequential(
        *modules,  # (N, C, H / 8, W / 8)
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(channels, shape.outputs),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network
