"""What a reader of raw data hands over: labels and boxes first, then the images, one by one.

Importing this module imports neither NumPy nor Pandas, so that the modules in `tasks.datasets.sets` stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from tasks.datasets.data import Split

# The bytes of an image file, or pixels: uint8 (H, W) or (H, W, 3) in RGB order.
Image: TypeAlias = "bytes | np.ndarray"


class Settings(Protocol):
    """What a reader may ask of a block of `preprocess`; its `size`, which not every block has, by `getattr`."""

    @property
    def dataset(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def by_count(self) -> bool:
        """Whether `validation` and `test` count images; else they are shares."""

    @property
    def validation(self) -> float | None: ...

    @property
    def test(self) -> float | None: ...


class Box(NamedTuple):
    """Corners in pixels of the original image, as continuous coordinates: a box over the whole image is 0, 0, width, height."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float
    difficult: bool = False


class Problem(NamedTuple):
    """Something of the publisher's that could not be used: an image, its annotation, a single box or a single sentence.

    The first two cost the image; the others do not.
    """

    file: str
    kind: Literal["image", "annotation", "box", "sentence"]
    reason: str


@dataclass(frozen=True)
class Item:
    """An image's annotation. `split` is the publisher's; `size` the annotated (width, height), where there is one.

    `sentences` describe the image, one each. `attributes` are whole numbers by name, such as an age in years.
    """

    split: Split
    label: int | None = None
    boxes: tuple[Box, ...] | None = None
    size: tuple[int, int] | None = None
    sentences: tuple[str, ...] = ()
    attributes: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Raw:
    """A raw data set. `images` yields each item's image, in any order that is always the same; `problems` may grow meanwhile."""

    items: dict[str, Item]
    images: Callable[[], Iterator[tuple[str, Image]]]
    classes: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    # The reader drew validation and test itself, by the block.
    drawn: bool = False
