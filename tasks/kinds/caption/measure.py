"""What an evaluation of captions measures and writes: sentences of test photographs against people's."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tasks.datasets.data import Data
from tasks.datasets.sets.scenes_words import DIGITS, PLACES
from tasks.imaging.figures import save
from tasks.kinds.caption import describe, figures
from tasks.learning.measuring import Out, Test
from tasks.words import scores
from tasks.words.data import references, vocabulary

# Which photographs are shown, by their place in the order of CIDEr-D.
SHOWN = {"best": 1.0, "median": 0.5, "worst": 0.0}
EACH = 3
# Draws of the test images with replacement, for an interval that holds 95 % of their scores.
DRAWS = 1000
# Of exact sentences: the words that name digits and places.
NAMES = {"scenes-words": {*DIGITS, "left", "above", *(place.split()[-1] for place in PLACES.values())}}


class Answers(NamedTuple):
    """Sentences, their words, where the network looked at each (N, T, L), and how good each is."""

    texts: list[str]
    words: list[list[str]]
    looked: Tensor
    references: list[list[list[str]]]
    cider: np.ndarray
    rouge_l: np.ndarray


def measure(test: Test) -> tuple[Answers, dict[str, float]]:
    """The sentences of the test images, and their scores."""
    images = torch.from_numpy(test.data.images)
    stem = describe.kept(test.network, images, test.precision)
    said = describe.sentences(test.network, stem, test.precision, test.recipe.beam, test.recipe.length_penalty)
    known = vocabulary(test.info)
    texts = known.sentences(said.words.tolist())
    answers, people = [text.split() for text in texts], references(test.data)
    train = [sentence for own in references(Data(test.data.folder, "train")) for sentence in own]
    numbers = {**scores.scores(answers, people), **scores.diversity(answers, train)}
    numbers["exact"] = float(np.mean([answer in own for answer, own in zip(answers, people)]))
    if names := NAMES.get(test.info.dataset):
        numbers["named"] = named(answers, people, names)
    cider, rouge = scores.cider(answers, people), scores.rouge_l(answers, people)
    return Answers(texts, answers, said.looked, people, cider, rouge), numbers


def named(answers: Sequence[scores.Words], people: Sequence[Sequence[scores.Words]], names: Collection[str]) -> float:
    """Of the words of the first references that are names, the share that answers have too, in the same order."""
    right = total = 0
    for answer, (reference, *_) in zip(answers, people, strict=True):
        wanted = [word for word in reference if word in names]
        right += scores.common([word for word in answer if word in names], wanted)
        total += len(wanted)
    return right / total


def write(test: Test, outputs: Answers, out: Out) -> None:
    """Write a row an image, the intervals of the scores, and the pictures."""
    files = test.data.index["file"]
    rows = {"file": files, "sentence": outputs.texts, "cider": outputs.cider, "rouge_l": outputs.rouge_l}
    out.table("per_image", pd.DataFrame(rows))
    out.table("intervals", pd.DataFrame(scores.intervals(outputs.words, outputs.references, DRAWS)))
    order = np.argsort(outputs.cider, kind="stable")
    last = len(order) - 1
    chosen = {
        name: order[min(max(0, round(share * last) - EACH // 2), max(0, last + 1 - EACH)) :][:EACH]
        for name, share in SHOWN.items()
    }
    shown = [
        (name, [(test.data.images[n], outputs.texts[n], " ".join(outputs.references[n][0]), outputs.cider[n]) for n in numbers])
        for name, numbers in chosen.items()
    ]
    save(figures.captions(shown), out.plots / "captions.png")
    if outputs.looked.shape[2] > 1 and outputs.looked.std(2).max() > 0:
        looks = [
            (test.data.images[numbers[0]], outputs.words[numbers[0]], outputs.looked[numbers[0]].numpy())
            for numbers in chosen.values()
        ]
        save(figures.attention(looks), out.plots / "attention.png")
    save(figures.frequencies(outputs.words, outputs.references), out.plots / "words.png")
