"""Pairs of handwritten digits side by side, with the sentence that names both; some combinations are kept out of training."""

import numpy as np

from models import sentences
from tasks.datasets.data import SPLITS, Split
from tasks.datasets.records import Image, Item, Raw, Settings

CLASSES = 100
# Pixels: of a digit, and of the square in whose middle rows a pair stands, since prepared images are square.
DIGIT, SIZE = 28, 56
TOP = (SIZE - DIGIT) // 2


def held_out(label: int) -> bool:
    """Whether training never sees a combination: two of the ten partners of each digit, on the left and on the right."""
    first, second = divmod(label, 10)
    return (3 * first + second) % 5 == 0


def read(digits: Raw, block: Settings, counts: dict[Split, int]) -> Raw:
    """Pairs of a data set of digits (28 x 28, ten classes), so many a split; each digit's image is in one split alone.

    The digits' split is the one that the same block gives the digits themselves, so a classifier of theirs has seen no digit of test.
    Train and validation have the 80 combinations that are not held out, test all 100, each as often as any other.
    """
    from tasks import preprocess

    splits = preprocess.assign(digits, block)  # type: ignore[arg-type]
    pixels = dict(digits.images())
    random = np.random.default_rng(block.seed)
    items: dict[str, Item] = {}
    pictures: dict[str, Image] = {}
    for split in SPLITS:
        own = [
            [name for name, item in digits.items.items() if splits[name] == split and item.label == digit] for digit in range(10)
        ]
        labels = [label for label in range(CLASSES) if split == "test" or not held_out(label)]
        for number in range(counts[split]):
            label = labels[number % len(labels)]
            pair = [own[digit][random.integers(len(own[digit]))] for digit in divmod(label, 10)]
            square = np.zeros((SIZE, SIZE), np.uint8)
            square[TOP : TOP + DIGIT] = np.concatenate([pixels[name] for name in pair], axis=1)
            name = f"{split}-{number:05d}"
            items[name] = Item(split, label, sentences=(sentences.sentence(label, CLASSES),))
            pictures[name] = square
    return Raw(items, lambda: iter(pictures.items()), sentences.sentences(CLASSES), drawn=True)
