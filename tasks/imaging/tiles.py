"""Photographs of any size through a network, whole or in tiles that overlap by what the network sees.

What lies beyond the border is the image reflected, with the edge pixel repeated (b a | a b c), as the targets' filters have it. A
tile is read with `network.context` pixels more on every side, which are cut off after it, and starts at a multiple of
`network.multiple`: each output pixel has the same input in a tile as in the whole image.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tasks.common.errors import Error
from tasks.imaging.tensors import to_bytes, to_float

# Of a network's input. Layers of 32 channels take 128 MB each at this size; smaller tiles pay more for their overlap.
MEMORY_PIXELS = 1 << 20


class Tile(NamedTuple):
    """Rows and columns of the output."""

    top: int
    bottom: int
    left: int
    right: int


@torch.inference_mode()
def filter_image(
    network: nn.Module,
    image: np.ndarray,
    memory_pixels: int = MEMORY_PIXELS,
    on_tile: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Filter an image of any size: uint8 (H, W, C) to uint8 (H, W, C').

    `network`: in evaluation mode; it takes images in [0, 1], (N, C, H, W), and has the integers `context`, the pixels around an
    output pixel that it sees, and `multiple`, which the sides of its input are multiples of. It computes in full precision.

    `memory_pixels`: the most that go through the network at once (more where its context alone is wider). `on_tile` is given
    the share of the image that each tile was.

    Raises ValueError for an image of another type or without pixels, and Error for outputs that are not finite.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or not image.size:
        raise ValueError(f"the image must be uint8 (H, W, C), of at least a pixel, not {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    context, multiple = int(network.context), int(network.multiple)  # type: ignore[arg-type]
    margin = _up(context, multiple)
    parameter = next(iter([*network.parameters(), *network.buffers()]), torch.empty(0))
    filtered: np.ndarray | None = None
    for tile in tiles(height, width, margin, multiple, memory_pixels):
        rows = _reflect(tile.top - margin, tile.top + _up(tile.bottom - tile.top + context, multiple), height)
        columns = _reflect(tile.left - margin, tile.left + _up(tile.right - tile.left + context, multiple), width)
        # A slice and `take` along one axis at a time are several times as fast as both axes at once.
        piece = image[rows].take(columns, axis=1)
        outputs = network(to_float(torch.from_numpy(piece).to(parameter.device)[None]))
        outputs = outputs[:, :, margin : margin + tile.bottom - tile.top, margin : margin + tile.right - tile.left].float()
        if not torch.isfinite(outputs).all():
            raise Error("the network's outputs are not finite: its training diverged; train it again with a lower learning rate")
        done = to_bytes(outputs)[0]
        if filtered is None:
            filtered = np.empty((height, width, done.shape[2]), np.uint8)
        filtered[tile.top : tile.bottom, tile.left : tile.right] = done
        on_tile((tile.bottom - tile.top) * (tile.right - tile.left) / (height * width))
    assert filtered is not None
    return filtered


def tiles(height: int, width: int, margin: int, multiple: int, memory_pixels: int) -> Iterator[Tile]:
    """Tiles that cover the image once, starting at multiples of `multiple`; with its margins each has `memory_pixels` at most.

    A tile is at least as wide as its margin, so that the overlap costs no more than nine times the work.
    """
    least = max(margin, multiple)
    across = _side(width, max(least, math.isqrt(memory_pixels) - 2 * margin), multiple)
    down = _side(height, max(least, memory_pixels // (across + 2 * margin) - 2 * margin), multiple)
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield Tile(top, min(top + down, height), left, min(left + across, width))


def _side(length: int, most: int, multiple: int) -> int:
    """The side of equal tiles, a multiple of `multiple`, that is not above `most` where that is possible."""
    most = max(multiple, most // multiple * multiple)
    return _up(-(-length // -(-length // most)), multiple)


def _reflect(start: int, stop: int, length: int) -> np.ndarray:
    """The rows that stand at `start` to `stop` of an endlessly reflected image of `length` rows."""
    places = np.arange(start, stop) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
