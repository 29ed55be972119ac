"""What a reader of raw data hands over: labels and boxes first, then the images, one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from tasks.datasets.data import Split

# The bytes of an image file, or pixels: uint8 (H, W) or (H, W, 3) in RGB order.
Image = bytes | np.ndarray


class Box(NamedTuple):
    """Corners in pixels of the original image, as continuous coordinates: a box over the whole image is 0, 0, width, height."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float
    difficult: bool = False


class Problem(NamedTuple):
    """Something of the publisher's that could not be used: an image, its annotation, or a single box."""

    file: str
    kind: Literal["image", "annotation", "box"]
    reason: str


@dataclass(frozen=True)
class Item:
    """An image's annotation. `split` is the publisher's; `size` the annotated (width, height), where there is one."""

    split: Split
    label: int | None = None
    boxes: tuple[Box, ...] | None = None
    size: tuple[int, int] | None = None


@dataclass
class Raw:
    """A raw data set. `images` yields each item's image, in any order that is always the same; `problems` may grow meanwhile."""

    items: dict[str, Item]
    images: Callable[[], Iterator[tuple[str, Image]]]
    classes: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    # The reader drew validation and test itself, by the block.
    drawn: bool = False
