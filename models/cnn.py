"""A plain convolutional classifier: [3x3 convolution - batch norm? - ReLU - pool?] x L, then global average and linear.

After the course's `[conv - batch norm? - ReLU - pool?] x (L-1) - linear` (assignment 3 of EECS 498/598, Deep Learning for
Computer Vision), which reports 71 % on CIFAR-10 and tries up to 21 layers. We average over the last map instead of flattening
it, which keeps the classifier small and the network free of its input's size. `backward: manual` takes the gradients derived by
hand (models/manual.py).
"""

from pydantic import PositiveInt
from torch import nn

from models import Shape
from models.layers import Init, initialise
from models.manual import Backward, Classifier, layers


def build(
    shape: Shape,
    *,
    widths: tuple[PositiveInt, ...] = (32, 64, 128),
    pools: tuple[int, ...] = (0,),
    batch_norm: bool = True,
    init: Init = "kaiming",
    backward: Backward = "auto",
) -> nn.Module:
    """`widths`: channels of each convolution. `pools`: indices of the convolutions that a 2x2 max pooling follows. `init`: how
    weights are drawn (`models.layers.initialise`). `backward`: gradients by autograd, or by hand."""
    if any(not 0 <= pool < len(widths) for pool in pools):
        raise ValueError(f"architecture.pools: {pools} names layers that are not there; allowed: 0 to {len(widths) - 1}")
    if shape.size >> len(pools) < 1:
        raise ValueError(f"architecture.pools: {len(pools)} poolings leave nothing of {shape.size} pixels")
    kit = layers(backward)
    modules: list[nn.Module] = []
    channels = shape.inputs
    for index, width in enumerate(widths):
        # A bias before a batch norm is cancelled by it.
        modules += [kit.Conv2d(channels, width, 3, padding=1, bias=not batch_norm)]
        modules += [kit.BatchNorm2d(width)] if batch_norm else []
        modules += [kit.ReLU(inplace=True)]
        modules += [kit.MaxPool2d(2)] if index in pools else []
        channels = width
    network = Classifier(
        *modules,  # (N, C, H', W')
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        kit.Linear(channels, shape.outputs),
        backward=backward,
    )
    initialise(network, init)
    return network
