"""Classification's prepared data as tensors, and the networks' shape."""

import numpy as np

from models import Shape
from tasks.datasets.data import Data, Info


def labels(data: Data) -> np.ndarray:
    """A split's labels, int64 (N,)."""
    return data.index["label"].to_numpy(np.int64, copy=True)


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, C), and `targets`, int64 (N,)."""
    return {"images": data.images, "targets": labels(data)}


def shape(info: Info) -> Shape:
    """A logit a class."""
    return Shape(info.channels, len(info.classes), info.size)
