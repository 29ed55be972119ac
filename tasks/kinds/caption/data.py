"""Captions' prepared data as tensors, and the networks' shape."""

from models import Shape
from tasks.datasets.data import Info
from tasks.words.data import examples

__all__ = ["examples", "shape"]


def shape(info: Info) -> Shape:
    """As many outputs as there are words, those that are none among them; `length`: numbers of a sentence; `center`: 1 where pictures are
    their middle squares, 0 where they are squeezed into one."""
    length, center = info.settings.get("length"), int(info.settings.get("crop") == "center")
    return Shape(
        info.channels, len(info.classes), info.size, {"center": center} | ({"length": length} if isinstance(length, int) else {})
    )
