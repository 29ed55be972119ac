"""Pairs of MNIST's digits on 28 x 56 pixels, each with a sentence such as "a three and a seven"."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sets import mnist
from tasks.datasets.sources import Dataset

SOURCE = Dataset(mnist.SOURCE.licence, mnist.SOURCE.home, files=mnist.SOURCE.files, within=("mnist",))


def read(folder: Path, block: Settings) -> Raw:
    """32,000 pairs to learn from, 2,000 of validation, 2,000 of test. The block's `validation` counts digits."""
    from tasks.datasets import digit_pairs

    return digit_pairs.read(mnist.read(folder, block), block, {"train": 32_000, "val": 2000, "test": 2000})
