"""From records to classification's arrays: a square of each image, and its label."""

from typing import Any

import numpy as np

from tasks.common.errors import Error
from tasks.datasets.arrays import Layout
from tasks.datasets.records import Raw
from tasks.datasets.squares import Chunk, Job, middle

# Problems of these kinds cost the image.
LOSES = ("image", "annotation")


def check(raw: Raw, block: Any) -> None:
    """Raises Error for a data set without labels."""
    if any(item.label is None for item in raw.items.values()):
        raise Error(f"preprocess: the images of {block.dataset} have no single label; task: classify cannot use them")


def layout(block: Any) -> Layout:
    """The label stands in the index."""
    return Layout(index={"label": np.int64})


def convert(job: Job, block: Any, known: Any, chunk: Chunk) -> None:
    """Add an image's middle square. Raises images.Undecodable."""
    square, original = middle(job, block)
    chunk.add(job, [square], original, label=job.item.label)


def classes(raw: Raw) -> tuple[str, ...]:
    """The names of the labels."""
    return raw.classes
