"""WIDER FACE's training photographs to learn from, and Kodak's to test on: what the codec is made of.

All of the former are JPEGs; Kodak's are without loss.
"""

from collections.abc import Iterator
from pathlib import Path

from tasks.datasets import wider
from tasks.datasets.records import Image, Raw, Settings
from tasks.datasets.sets import kodak, wider_face_train
from tasks.datasets.sources import Dataset

SOURCE = Dataset(
    f"{wider_face_train.SOURCE.licence}; Kodak: {kodak.SOURCE.licence}",
    f"{wider_face_train.SOURCE.home}, {kodak.SOURCE.home}",
    files=(*wider_face_train.SOURCE.files, *kodak.SOURCE.files),
    within=("wider-face", "kodak"),
)


def read(folder: Path, block: Settings) -> Raw:
    """WIDER FACE's are `train`, without their boxes and what is wrong with these; Kodak's are `test`."""
    train, test = wider.read(folder, "train", "train"), kodak.read(folder, block)

    def images() -> Iterator[tuple[str, Image]]:
        yield from train.images()
        yield from test.images()

    return Raw({**train.items, **test.items}, images, (), test.problems)
