"""Captions' prepared data as tensors, and the networks' shape."""

from models import Shape
from tasks.datasets.data import Info
from tasks.words.data import examples

__all__ = ["examples", "shape"]


def shape(info: Info) -> Shape:
    """As many outputs as there are words, those that are none among them; sentences of at most `length` numbers."""
    length = info.settings.get("length")
    return Shape(info.channels, len(info.classes), info.size, {"length": length} if isinstance(length, int) else {})
