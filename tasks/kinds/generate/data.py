"""Generation's prepared data as tensors, and the networks' shape."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models import Shape
from models.generator import CLASSES
from tasks.datasets.data import Data, Info


def labels(data: Data) -> np.ndarray:
    """A split's labels, int64 (N,); -1 for images without."""
    return data.index["label"].to_numpy(np.int64, copy=True)


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, C), `targets`, their labels, int64 (N,), and `bits`, eight pixels a byte."""
    return {"images": data.images, "targets": labels(data), "bits": data.array("bits")}


def binary(bits: Tensor, shape: Sequence[int]) -> Tensor:
    """The images that `bits` are of, float32 (N, C, H, W) of zeros and ones. `shape`: (H, W, C)."""
    weights = 2 ** torch.arange(7, -1, -1, device=bits.device, dtype=torch.uint8)
    pixels = (bits[:, :, None] & weights).ne(0).flatten(1)[:, : math.prod(shape)]
    return pixels.unflatten(1, tuple(shape)).permute(0, 3, 1, 2).float()


def shape(info: Info) -> Shape:
    """Images out, of one of the classes where there are any."""
    return Shape(info.channels, info.channels, info.size, {CLASSES: len(info.classes)} if info.classes else {})
