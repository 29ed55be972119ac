"""From records to embedding's arrays: images with sentences (`tasks.words.prepare`), and crops of objects without.

The index says with `label` which of the block's `objects` a crop shows; an image with sentences has -1.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.common.errors import Error
from tasks.datasets.arrays import Layout
from tasks.datasets.data import Split
from tasks.datasets.records import Box, Item, Raw
from tasks.datasets.squares import Chunk, Job
from tasks.imaging import images
from tasks.words import prepare
from tasks.words.prepare import LOSES, classes, extra
from tasks.words.vocabulary import Vocabulary, words

__all__ = ["LOSES", "begin", "check", "classes", "convert", "extra", "layout"]

DESCRIBED = -1  # the label of what has sentences


def check(raw: Raw, block: Any) -> None:
    """Leave out training sentences with a word of `without`. Raises Error without sentences, and for objects that no box shows."""
    if strange := [word for word in block.without if words(word) != [word]]:
        raise Error(f"preprocess: without: {', '.join(strange)}: give single words in lower case")
    banned = frozenset(block.without)
    raw.items = {name: _without(item, banned) for name, item in raw.items.items()}
    prepare.check(raw, block)
    shown = {box.label for item in raw.items.values() for box in item.boxes or ()}
    if missing := [name for name in block.objects if name not in shown]:
        raise Error(f"preprocess: objects: no box of {block.dataset} shows {', '.join(missing)}")


def _without(item: Item, banned: frozenset[str]) -> Item:
    if item.split != "train" or not banned:
        return item
    return replace(item, sentences=tuple(text for text in item.sentences if banned.isdisjoint(words(text))))


def _objects(item: Item, block: Any) -> list[Box]:
    """The boxes whose crops are told apart."""
    return [
        box
        for box in item.boxes or ()
        if box.label in block.objects and not box.difficult and min(box.x2 - box.x1, box.y2 - box.y1) >= block.smallest
    ]


def begin(raw: Raw, splits: Mapping[str, Split], block: Any, folder: Path) -> Vocabulary:
    """The vocabulary of train alone, without the words of `without`."""
    return prepare.begin(raw, splits, block, folder)


def layout(block: Any) -> Layout:
    """The array and the table of sentences, and the column `label`."""
    described = prepare.layout(block)
    return replace(described, index={"label": np.int64})


def convert(job: Job, block: Any, known: Vocabulary, chunk: Chunk) -> None:
    """Add an image with its sentences, and the crops of its objects where it is not of train. Raises images.Undecodable."""
    count = len(chunk.rows)
    boxes = _objects(job.item, block)
    # A photograph with boxes alone that shows none of the objects is of no use here.
    if job.item.sentences or job.item.boxes is None:
        prepare.convert(job, block, known, chunk)
        chunk.rows[count:] = [{**row, "label": DESCRIBED} for row in chunk.rows[count:]]
    if not boxes or job.item.split == "train":
        return
    decoded = images.decode(job.image) if isinstance(job.image, bytes) else images.Decoded(job.image)
    if job.item.size not in (None, decoded.original):
        raise images.Undecodable(f"annotated at {job.item.size} pixels (width, height), and the image has {decoded.original}")
    pixels, labels = images.as_channels(decoded.pixels, 3), [*block.objects]
    for box in boxes:
        square = images.resize(around(pixels, box), block.size, block.size)
        chunk.arrays.setdefault("sentences", []).append(np.zeros((block.sentences, block.length), np.int32))
        chunk.add(job, [square], decoded.original, label=labels.index(box.label))


def around(pixels: np.ndarray, box: Box) -> np.ndarray:
    """The square around a box, as far as the image reaches: uint8 (h, w, C)."""
    height, width = pixels.shape[:2]
    side = max(box.x2 - box.x1, box.y2 - box.y1)
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    right, bottom = int(min(width, np.ceil(x + side / 2))), int(min(height, np.ceil(y + side / 2)))
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
