"""Photos: cells of a few photographs, for crops within them."""

from pathlib import Path

from tasks.datasets.photographs import HOME, LICENCES, PHOTOGRAPHS
from tasks.datasets.records import Item, Raw, Settings
from tasks.datasets.sources import Dataset

# Pixels a side, where the block says nothing.
SIZE = 64

SOURCE = Dataset(LICENCES, HOME, packaged=PHOTOGRAPHS)


def read(folder: Path, block: Settings) -> Raw:
    """Cells of about twice the wanted size, each in one split."""
    from tasks.datasets import regions

    cells = regions.split_cells(folder, 2 * (getattr(block, "size", None) or SIZE), block)
    items = {file: Item(split) for split, own in cells.items() for file in own}
    pixels = {file: image for own in cells.values() for file, image in own.items()}
    return Raw(items, lambda: iter(pixels.items()), drawn=True)
