"""Pairs of MNIST-5k's digits on 28 x 56 pixels, each with a sentence such as "a three and a seven"."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sets import mnist_5k
from tasks.datasets.sources import Dataset

SOURCE = Dataset(mnist_5k.SOURCE.licence, mnist_5k.SOURCE.home, packaged=mnist_5k.SOURCE.packaged)


def read(folder: Path, block: Settings) -> Raw:
    """8,000 pairs to learn from, 400 of validation, 500 of test. The block's `validation` and `test` count digits."""
    from tasks.datasets import digit_pairs

    return digit_pairs.read(mnist_5k.read(folder, block), block, {"train": 8000, "val": 400, "test": 500})
