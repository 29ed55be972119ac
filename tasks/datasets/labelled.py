"""Data sets whose images are arrays already, a label each."""

import numpy as np

from tasks.common.errors import Error
from tasks.datasets.data import Split
from tasks.datasets.records import Item, Raw


def labelled(splits: dict[Split, tuple[np.ndarray, np.ndarray, str]], classes: tuple[str, ...]) -> Raw:
    """The records of each split's images (N, H, W) or (N, H, W, 3), labels (N,), and the name that its rows are called by.

    Raises Error where images and labels differ in number, and for a label that is no class.
    """
    items: dict[str, Item] = {}
    pixels: dict[str, np.ndarray] = {}
    for split, (images, labels, name) in splits.items():
        if len(images) != len(labels) or (len(labels) and labels.max() >= len(classes)):
            raise Error(
                f"{name}: {len(images)} images and {len(labels)} labels up to {max(labels, default=0)} for {len(classes)} classes; "
                "delete the files and download again"
            )
        for i, label in enumerate(labels.tolist()):
            items[f"{name}-{i}"] = Item(split, label)
            pixels[f"{name}-{i}"] = images[i]
    return Raw(items, lambda: iter(pixels.items()), classes)
