"""Scenes: handwritten digits on crops of a few photographs, with their boxes."""

from pathlib import Path

from tasks.datasets.photographs import HOME, LICENCES, PHOTOGRAPHS
from tasks.datasets.records import Box, Image, Item, Raw, Settings
from tasks.datasets.sets import mnist_5k
from tasks.datasets.sources import Dataset

SCENES = 1650
# Pixels a side, where the block says nothing.
SIZE = 128

SOURCE = Dataset(f"{LICENCES}; {mnist_5k.SOURCE.licence}", HOME, packaged=(*PHOTOGRAPHS, *mnist_5k.SOURCE.packaged))


def read(folder: Path, block: Settings) -> Raw:
    """1,650 scenes: one to four digits, turned, scaled and coloured, on crops of the photographs.

    Neither a digit's image nor a photograph's pixel is in two splits.
    """
    import numpy as np

    from tasks.datasets import digits, regions
    from tasks.datasets.data import SPLITS

    size = getattr(block, "size", None) or SIZE
    cells = regions.split_cells(folder, size * 5 // 4, block)
    inks, labels = digits.read(folder / mnist_5k.FILE)
    random = np.random.default_rng(block.seed)
    validation, test = regions.held_out(block)
    counts = dict(zip(SPLITS, regions.divided(SCENES, (1 - validation - test, validation, test))))
    order = random.permutation(len(inks))
    bounds = np.cumsum(regions.divided(len(inks), (1 - validation - test, validation, test)))
    own_digits = dict(zip(SPLITS, np.split(order, bounds[:-1])))
    items: dict[str, Item] = {}
    pixels: dict[str, Image] = {}
    for split in SPLITS:
        backgrounds = list(cells[split].values())
        for i in range(counts[split]):
            scene = regions.crop(backgrounds[random.integers(len(backgrounds))], size, random)
            boxes: list[Box] = []
            for digit in random.choice(own_digits[split], random.integers(1, 5), replace=False):
                digits.place(scene, inks[digit], str(labels[digit]), boxes, random)
            file = f"{split}-{i:04d}"
            items[file] = Item(split, boxes=tuple(boxes), size=(size, size))
            pixels[file] = scene
    return Raw(items, lambda: iter(pixels.items()), tuple("0123456789"), drawn=True)
