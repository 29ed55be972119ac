"""Flickr8k, and VOC 2007's photographs with boxes, whose objects are to be told apart by sentences alone: nothing is learned from them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tasks.datasets.records import Image, Raw, Settings
from tasks.datasets.sets import flickr8k, voc2007
from tasks.datasets.sources import Dataset

_TRAINVAL = tuple(file for file in voc2007.SOURCE.files if not file.optional)
SOURCE = Dataset(
    f"Flickr8k: {flickr8k.SOURCE.licence}; VOC: {voc2007.SOURCE.licence}",
    f"{flickr8k.SOURCE.home}, {voc2007.SOURCE.home}",
    files=(*flickr8k.SOURCE.files, *_TRAINVAL),
    within=("flickr8k", "voc2007"),
)
# Nothing is learned from VOC: every so many photographs of its `train` list are there to choose by.
EVERY = 5


def read(folder: Path, block: Settings) -> Raw:
    """Flickr8k's lists as they are; every fifth of VOC's `train` is validation, its `val` is test, without sentences."""
    own, others = flickr8k.read(folder, block), voc2007.read(folder, block)
    lost = {problem.file for problem in others.problems if problem.kind in ("image", "annotation")}
    usable = {name: item for name, item in others.items.items() if name not in lost}
    chosen = [name for name, item in usable.items() if item.split == "train"][::EVERY]
    items = {name: replace(usable[name], split="val") for name in chosen}
    items |= {name: item for name, item in usable.items() if item.split == "test"}

    def images() -> Iterator[tuple[str, Image]]:
        yield from own.images()
        yield from ((name, image) for name, image in others.images() if name in items)

    return Raw({**own.items, **items}, images, others.classes, own.problems + others.problems)
