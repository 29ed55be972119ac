"""Photographs: whole ones of everyday things, for networks that have seen such things."""

from pathlib import Path

from tasks.datasets.photographs import HOME, LICENCES, PHOTOGRAPHS
from tasks.datasets.records import Item, Raw, Settings
from tasks.datasets.sources import Dataset

# What is seen through a telescope or a microscope is no everyday thing.
LEFT_OUT = ("hubble.png", "ihc.png", "retina.png")

SOURCE = Dataset(LICENCES, HOME, packaged=tuple(file for file in PHOTOGRAPHS if file.name not in LEFT_OUT))


def read(folder: Path, _: Settings) -> Raw:
    """All are `val`: nothing is learned from them."""
    names = [file.name for file in SOURCE.packaged]
    return Raw({name: Item("val") for name in names}, lambda: ((name, (folder / name).read_bytes()) for name in names))
