"""CIFAR-100: 50,000 and 10,000 images, 32x32 colour, with 100 fine labels."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File

SOURCE = Dataset(
    "none stated; for research, citing Krizhevsky 2009",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
    files=(
        File(
            "cifar-100-binary.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            TFDS.format("cifar100"),
            168513733,
        ),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's train and test, with the fine labels."""
    from tasks.datasets import cifar

    return cifar.read(folder / "cifar-100-binary.tar.gz", "fine_label_names.txt", 2)
