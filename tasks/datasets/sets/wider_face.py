"""WIDER FACE's validation photographs, with the boxes of faces."""

from pathlib import Path

from tasks.datasets import wider
from tasks.datasets.records import Raw, Settings

SOURCE = wider.source("val", 362752168, "f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a")


def read(folder: Path, _: Settings) -> Raw:
    """All photographs are `test`: nothing is trained on them."""
    return wider.read(folder, "val", "test")
