"""Images with sentences from records to arrays: the vocabulary is of train alone, and what cannot be used is listed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.datasets.arrays import Layout
from tasks.datasets.records import Item, Problem, Raw
from tasks.datasets.squares import Chunk, Job
from tasks.words import prepare
from tasks.words.preparation import Described
from tasks.words.vocabulary import SPECIAL

BLOCK = Described(dataset="made", task="caption", size=32, sentences=2, length=6, least=2)


def raw() -> Raw:
    sentences = {"a": ("A dog.", "A dog runs", "dog"), "b": ("A cat",), "c": ("the the the",), "d": (), "e": ("!?",)}
    splits: Any = {"a": "train", "b": "val", "c": "test", "d": "train", "e": "train"}
    return Raw({name: Item(splits[name], sentences=own) for name, own in sentences.items()}, lambda: iter(()))


def test_the_vocabulary_is_of_train_alone(tmp_path: Path) -> None:
    data = raw()
    prepare.check(data, BLOCK)
    vocabulary = prepare.begin(data, {name: item.split for name, item in data.items.items()}, BLOCK, tmp_path)
    assert vocabulary.words == (*SPECIAL, "dog", "a")
    assert prepare.classes(data) == vocabulary.words
    assert prepare.extra(vocabulary) == {"words": 6}
    assert (tmp_path / "words.csv").read_text() == "word,count\ndog,3\na,2\nruns,1\n"


def test_images_without_a_word_are_left_out_and_listed(tmp_path: Path) -> None:
    vocabulary = prepare.begin(raw(), {"a": "train"}, BLOCK, tmp_path)
    chunk = Chunk()
    for name in "de":
        prepare.convert(Job(name, raw().items[name], 0, np.zeros((40, 80, 3), np.uint8)), BLOCK, vocabulary, chunk)
    assert chunk.pictures == []
    assert chunk.problems == [Problem(name, "sentence", "no sentence with a word") for name in "de"]
    prepare.check(raw(), BLOCK)
    with pytest.raises(Error, match="the images of made have no sentences"):
        prepare.check(Raw({"a": Item("train"), "b": Item("val", sentences=("!",))}, lambda: iter(())), BLOCK)


def test_a_threshold_that_no_word_meets_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no word comes 9 times"):
        prepare.begin(raw(), {"a": "train"}, BLOCK.model_copy(update={"least": 9}), tmp_path)


def test_an_image_has_its_first_sentences_as_numbers_and_all_as_texts(tmp_path: Path) -> None:
    vocabulary = prepare.begin(raw(), {"a": "train"}, BLOCK, tmp_path)
    chunk = Chunk()
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 40:] = 200
    texts = ("A dog runs!", "?", "a", "dog a a a a a a a")
    prepare.convert(Job("x", Item("train", sentences=texts), 0, pixels), BLOCK, vocabulary, chunk)
    part = chunk.part("made")
    assert part.arrays["sentences"].tolist() == [[[1, 5, 4, 3, 2, 0], [1, 5, 2, 0, 0, 0]]]
    assert [row["text"] for row in part.tables["texts"]] == [texts[0], texts[2], texts[3]]
    assert part.problems == [Problem("x", "sentence", "cut off after 4 of 8 words")]
    whole = part.arrays["images"][0]
    assert whole.shape == (32, 32, 3)
    assert (whole[:, 2].mean(), whole[:, -2].mean()) == (0, 200)
    layout: Layout = prepare.layout(BLOCK)
    assert layout.arrays["sentences"]((32, 32, 3)) == ((2, 6), "<i4")


def test_the_middle_square_where_it_is_asked_for(tmp_path: Path) -> None:
    vocabulary = prepare.begin(raw(), {"a": "train"}, BLOCK, tmp_path)
    chunk = Chunk()
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200
    block = SimpleNamespace(**{**BLOCK.model_dump(), "crop": "center"})
    prepare.convert(Job("x", Item("train", sentences=("a",)), 0, pixels), block, vocabulary, chunk)
    assert chunk.pictures[0].min() == 200
