"""Embedding's prepared data as tensors, the networks' shape, and the sentences that describe classes."""

from typing import Any

import numpy as np

from models import Shape
from tasks.datasets.data import Data, Info
from tasks.kinds.embed.prepare import DESCRIBED
from tasks.words import data as described
from tasks.words.vocabulary import Vocabulary


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, 3); `sentences`, int32 (N, S, T), of a crop without any; `labels`, int64 (N,), -1 for what has sentences."""
    return {**described.examples(data), "labels": data.index["label"].to_numpy()}


def shape(info: Info) -> Shape:
    """Colour images in; `words` are those of the vocabulary."""
    return Shape(info.channels, len(info.classes), info.size, info.extra)


def encoded(info: Info, texts: list[str]) -> np.ndarray:
    """Sentences as numbers of words, int64 (M, T)."""
    vocabulary, length = Vocabulary(info.classes), int(str(info.settings["length"]))
    return np.array([vocabulary.encode(text, length) for text in texts], np.int64).reshape(-1, length)


def prompts(info: Info) -> tuple[list[str], list[str], np.ndarray]:
    """The classes of objects, the sentences that describe them, and the class of each sentence; the first of a class is used alone too."""
    objects: Any = info.settings.get("objects") or {}
    sentences = [text for own in objects.values() for text in own]
    return [*objects], sentences, np.repeat(np.arange(len(objects)), [len(own) for own in objects.values()])


def is_described(labels: np.ndarray) -> np.ndarray:
    """Which images have sentences."""
    return labels == DESCRIBED
