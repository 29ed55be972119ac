"""From records to compression's arrays: squares to learn from, and the test photographs whole, as PNG files in a table."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tasks.datasets.arrays import Layout
from tasks.datasets.data import Split
from tasks.datasets.records import Raw
from tasks.datasets.squares import Chunk, Job
from tasks.imaging import images

LOSES = ("image",)


def check(raw: Raw, block: Any) -> None:
    """Any images will do."""


def begin(raw: Raw, splits: Mapping[str, Split], block: Any, folder: Path) -> frozenset[str]:
    """The names of the test photographs."""
    return frozenset(name for name, split in splits.items() if split == "test")


def layout(block: Any) -> Layout:
    """A table `whole` with each test photograph as `png`, the content of a file without loss."""
    return Layout(tables={"whole": {"png": object}})


def convert(job: Job, block: Any, known: frozenset[str], chunk: Chunk) -> None:
    """Add an image's squares; of a test photograph the middle one, and all of it. Raises images.Undecodable."""
    decoded = images.decode(job.image) if isinstance(job.image, bytes) else images.Decoded(job.image)
    pixels = images.as_channels(decoded.pixels, 3)
    if job.name in known:
        content = io.BytesIO()
        PIL.Image.fromarray(pixels).save(content, "PNG", compress_level=3)
        chunk.tables.setdefault("whole", []).append({"image": len(chunk.pictures), "png": content.getvalue()})
        chunk.add(job, [images.center_square(pixels, block.size)], decoded.original)
        return
    random = np.random.default_rng([block.seed, job.number])
    chunk.add(job, [_square(pixels, block, random) for _ in range(block.crops_per_image)], decoded.original)


def _square(pixels: np.ndarray, block: Any, random: np.random.Generator) -> np.ndarray:
    """A square of random place, made smaller by 1 to `shrink`. Raises images.Undecodable for an image that is too small."""
    height, width = pixels.shape[:2]
    most = min(height, width, int(block.size * block.shrink))
    if most < block.size:
        raise images.Undecodable(f"{width} x {height} pixels are fewer than the square's {block.size}")
    side = int(random.integers(block.size, most + 1))
    y, x = int(random.integers(0, height - side + 1)), int(random.integers(0, width - side + 1))
    return images.resize(pixels[y : y + side, x : x + side], block.size, block.size)


def classes(raw: Raw) -> tuple[str, ...]:
    """Photographs have none."""
    return ()
