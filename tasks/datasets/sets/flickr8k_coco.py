"""Flickr8k, with COCO-mini's captioned images as further training images; no number on COCO is reported for what learns from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tasks.datasets.records import Image, Raw, Settings
from tasks.datasets.sets import coco_mini, flickr8k
from tasks.datasets.sources import Dataset

SOURCE = Dataset(
    f"Flickr8k: {flickr8k.SOURCE.licence}; COCO: {coco_mini.SOURCE.licence}",
    f"{flickr8k.SOURCE.home}, {coco_mini.SOURCE.home}",
    files=(*flickr8k.SOURCE.files, *coco_mini.SOURCE.files),
    images=coco_mini.SOURCE.images,
    within=("flickr8k", "coco-mini"),
)


def read(folder: Path, block: Settings) -> Raw:
    """Flickr8k's lists as they are; of COCO-mini's images those that have captions, both splits', are `train`."""
    own, others = flickr8k.read(folder, block), coco_mini.read(folder, block)
    items = {name: replace(item, split="train") for name, item in others.items.items() if item.sentences}

    def images() -> Iterator[tuple[str, Image]]:
        yield from own.images()
        yield from ((name, image) for name, image in others.images() if name in items)

    problems = own.problems + [problem for problem in others.problems if problem.file in items and problem.kind != "box"]
    return Raw({**own.items, **items}, images, (), problems)
