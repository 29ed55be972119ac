"""Image to image's prepared data as tensors, and the networks' shape."""

import numpy as np

from models import Shape
from tasks.datasets.data import Data, Info

# Of `Info.extra`: the channels of the target, where there are more than one.
CHANNELS = "target_channels"


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, C), and `targets`, uint8 (N, H, W, C')."""
    return {"images": data.images, "targets": data.array("targets")}


def shape(info: Info) -> Shape:
    """As many channels out as the target has, one unless the data say otherwise."""
    return Shape(info.channels, info.extra.get(CHANNELS, 1), info.size)
