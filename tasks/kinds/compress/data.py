"""Compression's prepared data as tensors, the networks' shape, and the test photographs."""

import io
from collections.abc import Iterator

import numpy as np
import PIL.Image

from models import Shape
from tasks.datasets.data import Data, Info


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, 3): squares."""
    return {"images": data.images}


def shape(info: Info) -> Shape:
    """Pictures in, pictures out."""
    return Shape(info.channels, info.channels, info.size)


def photographs(data: Data) -> Iterator[tuple[str, np.ndarray]]:
    """The test photographs by the names of their files, whole: uint8 (H, W, 3) each."""
    whole = data.table("whole")
    for name, content in zip(data.index["file"].iloc[whole["image"]], whole["png"], strict=True):
        with PIL.Image.open(io.BytesIO(content)) as image:
            yield name, np.asarray(image.convert("RGB"))
