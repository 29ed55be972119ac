"""CIFAR-10: 50,000 and 10,000 images, 32x32 colour, 10 classes."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File

SOURCE = Dataset(
    "none stated; for research, citing Krizhevsky 2009",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
    files=(
        File(
            "cifar-10-binary.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
            ),
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            TFDS.format("cifar10"),
            170052171,
        ),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's train and test."""
    from tasks.datasets import cifar

    return cifar.read(folder / "cifar-10-binary.tar.gz", "batches.meta.txt", 1)
