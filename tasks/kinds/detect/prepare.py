"""From records to detection's arrays: images that are padded to squares, and their boxes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.common.errors import Error
from tasks.datasets.arrays import Layout
from tasks.datasets.records import Item, Problem, Raw
from tasks.datasets.squares import Chunk, Job, decode
from tasks.imaging import images

# Problems of these kinds cost the image.
LOSES = ("image", "annotation")
CORNERS = ("x1", "y1", "x2", "y2")


def check(raw: Raw, block: Any) -> None:
    """Raises Error for a data set without boxes."""
    if all(item.boxes is None for item in raw.items.values()):
        raise Error(f"preprocess: the images of {block.dataset} have no boxes; task: detect cannot use them")


def layout(block: Any) -> Layout:
    """The table `boxes`: image (row number), label, x1, y1, x2, y2 (pixels of images.npy), difficult."""
    return Layout(tables={"boxes": {"label": np.int64, **dict.fromkeys(CORNERS, np.float32), "difficult": bool}})


def convert(job: Job, block: Any, known: Any, chunk: Chunk) -> None:
    """Add an image, scaled to fit a square, and its boxes. `known`: the classes. Raises images.Undecodable."""
    decoded = decode(job, block, block.size, fit=True, annotated=job.item.size)
    if job.item.size not in (None, decoded.original):
        raise images.Undecodable(f"annotated at {job.item.size} pixels (width, height), and the image has {decoded.original}")
    square, (fx, fy) = images.fit(decoded.pixels, block.size, decoded.original)
    rows = chunk.tables.setdefault("boxes", [])
    for box, problem in clipped(job.name, job.item, decoded.original, known):
        if problem:
            chunk.problems.append(problem)
        if box:
            label, x1, y1, x2, y2, difficult = box
            corners = dict(zip(CORNERS, (x1 * fx, y1 * fy, x2 * fx, y2 * fy)))
            rows.append({"image": len(chunk.pictures), "label": label, **corners, "difficult": difficult})
    chunk.add(job, [square], decoded.original)


def clipped(name: str, item: Item, size: tuple[int, int], classes: tuple[str, ...]) -> Iterator[tuple[Any, Problem | None]]:
    """Each box as (label, x1, y1, x2, y2, difficult), clipped to the image, or None, and what was wrong with it."""
    width, height = size
    for box in item.boxes or ():
        corners = (box.x1, box.y1, box.x2, box.y2)
        shown = f"{box.label} {', '.join(f'{v:g}' for v in corners)} in {width} x {height}"
        x1, y1, x2, y2 = max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height))
        reason = ""
        if box.label not in classes:
            reason = "unknown class"
        elif not all(map(math.isfinite, corners)):
            reason = "not a number"
        elif box.x2 < box.x1 or box.y2 < box.y1:
            reason = "inverted"
        elif box.x2 == box.x1 or box.y2 == box.y1:
            reason = "no area"
        elif x2 <= x1 or y2 <= y1:
            reason = "outside the image"
        if reason:
            yield None, Problem(name, "box", f"{reason}: {shown}")
            continue
        # A pixel over the edge is rounding, and not worth a line.
        far = max(x1 - box.x1, y1 - box.y1, box.x2 - x2, box.y2 - y2) > 1
        problem = Problem(name, "box", f"clipped: {shown}") if far else None
        yield (classes.index(box.label), x1, y1, x2, y2, box.difficult), problem


def classes(raw: Raw) -> tuple[str, ...]:
    """The names of the objects."""
    return raw.classes
