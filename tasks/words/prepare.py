"""From records to arrays of images with several sentences each: the `prepare.py` of kinds whose block is `Described`.

<split>/images.npy       uint8 (N, size, size, 3)
<split>/sentences.npy    int32 (N, sentences, length): start, words, end and fill by their numbers; a row of zeros is no sentence
<split>/texts.parquet    columns image (a row of images.npy) and text, as it was written: all sentences of each image
dataset.json             `classes` are the words by their numbers (`Vocabulary`), which come often enough in train
words.csv                columns word and count: all words of train, the most frequent first
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common.errors import Error
from tasks.datasets.arrays import Layout
from tasks.datasets.data import Split
from tasks.datasets.records import Problem, Raw
from tasks.datasets.squares import Chunk, Job, decode
from tasks.imaging import images
from tasks.words.vocabulary import Vocabulary, counted, words

LOSES = ("image", "annotation")


def check(raw: Raw, block: Any) -> None:
    """Raises Error where no image has a sentence."""
    if not any(words(text) for item in raw.items.values() for text in item.sentences):
        raise Error(f"preprocess: the images of {block.dataset} have no sentences; task: {block.task} cannot use them")


def begin(raw: Raw, splits: Mapping[str, Split], block: Any, folder: Path) -> Vocabulary:
    """The vocabulary of train alone. Raises Error where no word comes often enough."""
    texts = [text for name, split in splits.items() if split == "train" for text in raw.items[name].sentences]
    vocabulary = Vocabulary.of(texts, block.least)
    if not vocabulary.numbers:
        raise Error(f"preprocess: no word comes {block.least} times in the training sentences of {block.dataset}; lower `least`")
    frame = pd.DataFrame(counted(texts), columns=["word", "count"])
    frame.to_csv(folder / "words.csv", index=False, lineterminator="\n")
    # What dataset.json calls classes are the words, which only now are known.
    raw.classes = vocabulary.words
    return vocabulary


def classes(raw: Raw) -> tuple[str, ...]:
    """The words by their numbers, as `begin` left them."""
    return raw.classes


def extra(known: Vocabulary) -> dict[str, int]:
    """How many words there are."""
    return {"words": len(known)}


def layout(block: Any) -> Layout:
    """The array `sentences` and the table `texts`."""
    return Layout(
        tables={"texts": {"text": object}}, arrays={"sentences": lambda shape: ((block.sentences, block.length), "<i4")}
    )


def convert(job: Job, block: Any, known: Vocabulary, chunk: Chunk) -> None:
    """Add an image and its sentences; one without a word is left out, and listed. Raises images.Undecodable."""
    texts = [text for text in job.item.sentences if words(text)]
    if not texts:
        chunk.problems.append(Problem(job.name, "sentence", "no sentence with a word"))
        return
    decoded = decode(job, block, block.size)
    pixels = images.as_channels(decoded.pixels, 3)
    square = images.center_square(pixels, block.size) if block.crop == "center" else images.resize(pixels, block.size, block.size)
    numbers = np.zeros((block.sentences, block.length), np.int32)
    for row, text in zip(numbers, texts):
        row[:] = known.encode(text, block.length)
    for text in texts:
        if (count := len(words(text))) > block.length - 2:
            chunk.problems.append(Problem(job.name, "sentence", f"cut off after {block.length - 2} of {count} words"))
    chunk.arrays.setdefault("sentences", []).append(numbers)
    chunk.tables.setdefault("texts", []).extend({"image": len(chunk.pictures), "text": text} for text in texts)
    chunk.add(job, [square], decoded.original)
