"""From records to image to image's arrays: squares of each image, and the picture that each is to become."""

from typing import Any

import numpy as np

from tasks.datasets.arrays import Layout
from tasks.datasets.records import Raw
from tasks.datasets.squares import Chunk, Job, decode, middle
from tasks.imaging import images
from tasks.kinds.translate import filters

# Problems of these kinds cost the image: labels and boxes are not looked at.
LOSES = ("image",)


def check(raw: Raw, block: Any) -> None:
    """Any images will do."""


def layout(block: Any) -> Layout:
    """`targets`, uint8 (N, H, W, 1)."""
    return Layout(arrays={"targets": lambda shape: ((*shape[:2], 1), "|u1")})


def convert(job: Job, block: Any, known: Any, chunk: Chunk) -> None:
    """Add an image's squares and their targets. Raises images.Undecodable."""
    pictures, original = _squares(job, block)
    chunk.add(job, pictures, original)
    chunk.arrays.setdefault("targets", []).extend(filters.target(np.stack(pictures), block.target))


def _squares(job: Job, block: Any) -> tuple[list[np.ndarray], tuple[int, int]]:
    if block.crop == "center":
        square, original = middle(job, block)
        return [square], original
    decoded = decode(job, block, 2 * block.size if block.crop == "random" else block.size)
    if block.crop == "none":
        return [images.resize(decoded.pixels, block.size, block.size)], decoded.original
    # A stream of its own for each image: the result does not depend on which thread comes first.
    random = np.random.default_rng([block.seed, job.number])
    return [images.random_square(decoded.pixels, block.size, random) for _ in range(block.crops_per_image)], decoded.original


def classes(raw: Raw) -> tuple[str, ...]:
    """Its images have none."""
    return ()
