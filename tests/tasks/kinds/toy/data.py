"""Ink's prepared data as tensors, and the networks' shape."""

import numpy as np

from models import Shape
from tasks.datasets.data import Data, Info


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, C), and the two targets, float32 (N, 1) each."""
    return {"images": data.images, "ink": data.array("ink"), "centre": data.array("centre")}


def shape(info: Info) -> Shape:
    """Two numbers an image."""
    return Shape(info.channels, 2, info.size)
