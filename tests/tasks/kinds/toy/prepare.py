"""From records to ink's arrays: two numbers an image."""

from typing import Any

import numpy as np

from tasks.datasets.arrays import Layout
from tasks.datasets.records import Raw
from tasks.datasets.squares import Chunk, Job, middle

LOSES = ("image",)


def check(raw: Raw, block: Any) -> None:
    """Any images will do."""


def layout(block: Any) -> Layout:
    """`ink`, the share of ink, and `centre`, its mean column in pixels: float32 (N, 1) each."""
    return Layout(arrays={name: lambda shape: ((1,), "<f4") for name in ("ink", "centre")})


def convert(job: Job, block: Any, known: Any, chunk: Chunk) -> None:
    """Add an image and its numbers. Raises images.Undecodable."""
    square, original = middle(job, block)
    ink = square.astype(np.float64).mean(2)
    columns = np.arange(ink.shape[1]) + 0.5
    chunk.add(job, [square], original)
    chunk.arrays.setdefault("ink", []).append(np.array([ink.mean() / 255], np.float32))
    chunk.arrays.setdefault("centre", []).append(np.array([(ink.sum(0) * columns).sum() / max(ink.sum(), 1)], np.float32))


def classes(raw: Raw) -> tuple[str, ...]:
    """There are none."""
    return ()
