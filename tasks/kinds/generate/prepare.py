"""From records to generation's arrays: a square of each image, its label, and one draw of its pixels as black or white."""

import math
from typing import Any

import numpy as np

from tasks.datasets.arrays import Layout
from tasks.datasets.records import Raw
from tasks.datasets.squares import Chunk, Job, middle
from tasks.imaging import images

LOSES = ("image",)
# The label of an image that has none.
UNLABELLED = -1


def check(raw: Raw, block: Any) -> None:
    """Any images will do."""


def layout(block: Any) -> Layout:
    """The label in the index, and `bits`, eight pixels a byte: uint8 (N, H W C / 8)."""
    return Layout(index={"label": np.int64}, arrays={"bits": lambda shape: ((-(-math.prod(shape) // 8),), "|u1")})


def convert(job: Job, block: Any, known: Any, chunk: Chunk) -> None:
    """Add an image's middle square. Raises images.Undecodable."""
    square, original = middle(job, block)
    pixels = images.as_channels(square, block.channels)
    # A stream of its own for each image: the result does not depend on which thread comes first.
    random = np.random.default_rng([block.seed, job.number])
    drawn = random.random(pixels.shape) < pixels / 255
    chunk.arrays.setdefault("bits", []).append(np.packbits(drawn))
    chunk.add(job, [pixels], original, label=UNLABELLED if job.item.label is None else job.item.label)


def classes(raw: Raw) -> tuple[str, ...]:
    """The names of the labels; none where images have none."""
    return raw.classes
