"""Patches: 32x32 pieces of a few photographs; the class is the photograph."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets.photographs import HOME, LICENCES, PHOTOGRAPHS
from tasks.datasets.records import Image, Item, Raw, Settings
from tasks.datasets.sources import Dataset

PATCH = 32
# Cells of two patches a side: neighbouring cells show similar texture, so that what is learned on one part of a photograph says
# something about the others, and none of it is seen twice.
CELL = 64
TRAIN = 5000
TEST = 1000
SHARES = (0.6, 0.15, 0.25)

SOURCE = Dataset(LICENCES, HOME, packaged=PHOTOGRAPHS)


def read(folder: Path, block: Settings) -> Raw:
    """Patches at the photographs' own scale, the same number of each photograph.

    `validation` and `test` of the block count patches (1,000 each by default); 5,000 are for training. Error for other tasks.
    """
    import numpy as np

    from tasks.datasets import regions
    from tasks.datasets.data import SPLITS

    if not block.by_count:
        raise Error("preprocess: the data set patches is for task: classify; for image to image there is photos")
    counts = (TRAIN, int(block.validation or TEST), int(block.test or TEST))
    photographs = regions.read_photographs(folder)
    random = np.random.default_rng(block.seed)
    items: dict[str, Item] = {}
    pixels: dict[str, Image] = {}
    for label, (name, photograph) in enumerate(photographs.items()):
        cells = [cell for cell in regions.grid(photograph, CELL) if regions.is_textured(photograph, cell)]
        for split, count, own in zip(SPLITS, counts, regions.drawn(cells, SHARES, random)):
            places = [(x, y) for x1, y1, x2, y2 in own for x in range(x1, x2 - PATCH + 1) for y in range(y1, y2 - PATCH + 1)]
            # The first photographs take what does not divide evenly.
            share = count // len(photographs) + (label < count % len(photographs))
            if share > len(places):
                raise Error(f"preprocess: {name} has room for {len(places)} {split} patches, not {share}; ask for fewer")
            for x, y in (places[i] for i in random.choice(len(places), share, replace=False)):
                file = f"{name}@{x},{y}"
                items[file] = Item(split, label)
                pixels[file] = photograph[y : y + PATCH, x : x + PATCH]
    return Raw(items, lambda: iter(pixels.items()), tuple(photographs), drawn=True)
