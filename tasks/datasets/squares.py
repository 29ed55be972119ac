"""From images of any size to the squares that are prepared, a chunk of them at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from tasks.common.errors import Error
from tasks.datasets.arrays import Part
from tasks.datasets.records import Image, Item, Problem
from tasks.imaging import images


@dataclass(frozen=True)
class Job:
    """An image to prepare. `number`: its place in the data set, which seeds its random numbers."""

    name: str
    item: Item
    number: int
    image: Image


@dataclass
class Chunk:
    """Some images of a split while they are prepared."""

    pictures: list[np.ndarray] = field(default_factory=list)  # each uint8 (H, W, C)
    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)  # further rows by the name of their array, one a picture
    rows: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, job: Job, pictures: Sequence[np.ndarray], original: tuple[int, int], **columns: Any) -> None:
        """Append an image's pictures. `original`: its (width, height); `columns`: what the kind adds to the index."""
        self.pictures.extend(pictures)
        self.rows.extend([{"file": job.name, "width": original[0], "height": original[1], **columns}] * len(pictures))

    def part(self, dataset: str) -> Part:
        """The pictures as arrays. Raises Error where they differ in size."""
        done = Part(rows=self.rows, tables=self.tables, problems=self.problems)
        if self.pictures:
            if len({picture.shape for picture in self.pictures}) > 1:
                raise Error(f"preprocess: the images of {dataset} differ in size; give the key `size`")
            stacked = np.stack(self.pictures)
            tall = stacked.reshape(-1, *stacked.shape[2:])
            done.levels = np.stack([cv2.calcHist([tall], [c], None, [256], [0, 256])[:, 0] for c in range(tall.shape[-1])])
            done.arrays = {"images": stacked, **{name: np.stack(rows) for name, rows in self.arrays.items()}}
        return done


def decode(job: Job, block: Any, at_least: int | None, **options: Any) -> images.Decoded:
    """The image's pixels, of a JPEG at a reduced scale that leaves `at_least` pixels a side (`tasks.imaging.images.decode`).

    Raises images.Undecodable for what is no image, and Error where images of no fixed size have no `size`.
    """
    if isinstance(job.image, np.ndarray):
        return images.Decoded(job.image)
    if block.size is None:
        raise Error(f"preprocess: the images of {block.dataset} have no fixed size; give the key `size`")
    return images.decode(job.image, at_least, **options)


def middle(job: Job, block: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """The middle square of an image at the block's size, or all of it where the block has none; and its (width, height)."""
    decoded = decode(job, block, block.size)
    if block.size is None:
        return decoded.pixels, decoded.original
    return images.center_square(decoded.pixels, block.size), decoded.original
