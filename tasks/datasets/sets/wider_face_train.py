"""WIDER FACE's training photographs, with the boxes of faces.

They are a data set of their own: what was measured on `wider-face`, which has the validation photographs alone, stays what it is.
"""

from pathlib import Path

from tasks.datasets import wider
from tasks.datasets.records import Raw, Settings

SOURCE = wider.source(
    "train", 1465602149, "e23b76129c825cafae8be944f65310b2e1ba1c76885afe732f179c41e5ed6d59", within=("wider-face",)
)


def read(folder: Path, _: Settings) -> Raw:
    """All photographs are `train`."""
    return wider.read(folder, "train", "train")
