"""Prepared images with sentences: as tensors by name, and the texts that an image was described by."""

import numpy as np

from tasks.datasets.data import Data, Info
from tasks.words.vocabulary import Vocabulary, words


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, 3), and `sentences`, int32 (N, S, T): numbers of words; a row of zeros is no sentence."""
    return {"images": data.images, "sentences": data.array("sentences")}


def vocabulary(info: Info) -> Vocabulary:
    """The words that the data know."""
    return Vocabulary(info.classes)


def texts(data: Data) -> list[list[str]]:
    """The sentences of each image, as they were written."""
    table = data.table("texts")
    found: list[list[str]] = [[] for _ in range(len(data))]
    for image, text in zip(table["image"], table["text"]):
        found[image].append(text)
    return found


def references(data: Data) -> list[list[list[str]]]:
    """The words of each sentence of each image, those too that the vocabulary lacks: what answers are measured against."""
    return [[words(text) for text in own] for own in texts(data)]
