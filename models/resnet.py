"""Pre-activation residual networks (He et al. 2016, Identity Mappings in Deep Residual Networks), plain and bottleneck blocks.

A 3x3 convolution, three stages of `blocks` blocks at full, half and quarter size, batch norm, ReLU, global average, linear. With
five blocks a stage: 32 layers of plain blocks (6 n + 2) or 47 of bottlenecks (9 n + 2), as the course trains them (assignment of
EECS 498/598, 81.5 % on CIFAR-10 published). ResNet-110 of the paper reaches 93.6 %; at least 91 % is expected of ours.
"""

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from models import Shape


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Batch norm - ReLU - convolution: activation comes before weights."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
    )


class Block(nn.Module):
    """x + f(x), (N, C, H, W) to (N, C', H / stride, W / stride); the sum is left as it is, without a ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, branch: nn.Sequential) -> None:
        super().__init__()
        self.branch = branch
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.shortcut(x) + self.branch(x)
        return out


def _plain(inputs: int, width: int, stride: int, expansion: int) -> tuple[Block, int]:
    branch = nn.Sequential(_convolution(inputs, width, 3, stride), _convolution(width, width, 3))
    return Block(inputs, width, stride, branch), width


def _bottleneck(inputs: int, width: int, stride: int, expansion: int) -> tuple[Block, int]:
    outputs = expansion * width
    branch = nn.Sequential(_convolution(inputs, width, 1), _convolution(width, width, 3, stride), _convolution(width, outputs, 1))
    return Block(inputs, outputs, stride, branch), outputs


def build(
    shape: Shape,
    *,
    block: Literal["plain", "bottleneck"] = "plain",
    blocks: PositiveInt = 3,
    widths: tuple[PositiveInt, ...] = (16, 32, 64),
    expansion: PositiveInt = 4,
) -> nn.Module:
    """`block`: two 3x3 convolutions, or 1x1 - 3x3 - 1x1. `blocks`: of each stage. `widths`: channels of the 3x3 convolutions in
    each stage. `expansion`: how many times as many channels the ends of a bottleneck have."""
    make = _plain if block == "plain" else _bottleneck
    channels = widths[0]
    stages: list[nn.Module] = []
    for stage, width in enumerate(widths):
        for index in range(blocks):
            made, channels = make(channels, width, 2 if stage and not index else 1, expansion)
            stages.append(made)
    network = nn.Sequential(
        nn.Conv2d(shape.inputs, widths[0], 3, padding=1, bias=False),
        *stages,  # (N, C, H / 4, W / 4)
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, shape.outputs),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
