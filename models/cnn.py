"""A plain convolutional classifier: [3x3 convolution - batch norm? - ReLU - pool?] x L, then global average and linear.

After the course's `[conv - batch norm? - ReLU - pool?] x (L-1) - linear` (assignment 3 of EECS 498/598, Deep Learning for
Computer Vision), which reports 71 % on CIFAR-10. We average over the last map instead of flattening it, which keeps the
classifier small and the network free of its input's size.
"""

from pydantic import PositiveInt
from torch import nn

from models import Shape


def build(
    shape: Shape,
    *,
    widths: tuple[PositiveInt, ...] = (32, 64, 128),
    pools: tuple[int, ...] = (0,),
    batch_norm: bool = True,
) -> nn.Module:
    """`widths`: channels of each convolution. `pools`: indices of the convolutions that a 2x2 max pooling follows."""
    if any(not 0 <= pool < len(widths) for pool in pools):
        raise ValueError(f"architecture.pools: {pools} names layers that are not there; allowed: 0 to {len(widths) - 1}")
    if shape.size >> len(pools) < 1:
        raise ValueError(f"architecture.pools: {len(pools)} poolings leave nothing of {shape.size} pixels")
    layers: list[nn.Module] = []
    channels = shape.inputs
    for index, width in enumerate(widths):
        # A bias before a batch norm is cancelled by it.
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution]
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if index in pools else []
        channels = width
    return nn.Sequential(
        *layers,  # (N, C, H', W')
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, shape.outputs),
    )
