"""Images with sentences and crops of objects, from records to arrays."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.datasets.records import Box, Item, Raw
from tasks.datasets.squares import Chunk, Job
from tasks.kinds.embed import Prepare, check, prepare
from tasks.words.vocabulary import Vocabulary

OBJECTS: Any = {"cow": ("a large animal",), "bus": ("a vehicle", "people wait")}
BLOCK = Prepare(dataset="made", task="embed", size=32, sentences=2, length=6, least=1, objects=OBJECTS, without=("cow",))
BOXES = (
    Box("bus", 10, 10, 60, 30),
    Box("cow", 0, 0, 40, 40),
    Box("cow", 0, 0, 50, 50, True),
    Box("bus", 0, 0, 15, 90),
    Box("cat", 0, 0, 99, 99),
)


def raw() -> Raw:
    items = {
        "a": Item("train", sentences=("A cow stands.", "An animal stands.")),
        "b": Item("test", sentences=("A cow.",)),
        "c": Item("test", boxes=BOXES),
        "d": Item("test", boxes=BOXES[-1:]),
        "e": Item("train", boxes=BOXES, sentences=("a field",)),
    }
    return Raw(items, lambda: iter(()), ("cow", "bus", "cat"))


def converted(names: str) -> Chunk:
    data, chunk = raw(), Chunk()
    prepare.check(data, BLOCK)
    vocabulary = Vocabulary.of(["an animal stands", "a field"], 1)
    for number, name in enumerate(names):
        prepare.convert(Job(name, data.items[name], number, np.zeros((100, 120, 3), np.uint8)), BLOCK, vocabulary, chunk)
    return chunk


def test_training_sentences_with_a_banned_word_are_left_out() -> None:
    data = raw()
    prepare.check(data, BLOCK)
    assert data.items["a"].sentences == ("An animal stands.",)
    # Of test nothing is taken away.
    assert data.items["b"].sentences == ("A cow.",)


def test_crops_are_of_the_objects_that_are_large_and_not_difficult() -> None:
    chunk = converted("abcde")
    # Of `d` none shows an object that is told apart; `e` is of train, which has no crops.
    assert [(row["file"], row["label"]) for row in chunk.rows] == [("a", -1), ("b", -1), ("c", 1), ("c", 0), ("e", -1)]
    assert chunk.problems == []
    assert [picture.shape for picture in chunk.pictures] == [(32, 32, 3)] * 5
    sentences = np.stack(chunk.arrays["sentences"])
    assert sentences.any((1, 2)).tolist() == [True, True, False, False, True]
    assert [row["image"] for row in chunk.tables["texts"]] == [0, 1, 4]


def test_a_crop_is_the_square_around_its_box_within_the_image() -> None:
    pixels = np.arange(100 * 120).reshape(100, 120, 1).repeat(3, 2)
    assert prepare.around(pixels, Box("a", 40, 40, 60, 50)).shape == (20, 20, 3)
    assert prepare.around(pixels, Box("a", 0, 40, 40, 50)).shape == (40, 40, 3)
    # At the edge it is cut: nothing is invented.
    assert prepare.around(pixels, Box("a", 0, 0, 60, 10)).shape == (35, 60, 3)
    assert prepare.around(pixels, Box("a", 119.9, 99.9, 120, 100)).size > 0


def test_what_is_asked_for_wrongly_is_a_sentence() -> None:
    with pytest.raises(Error, match="without: a cow: give single words"):
        prepare.check(raw(), BLOCK.model_copy(update={"without": ("a cow",)}))
    with pytest.raises(Error, match="no box of made shows horse"):
        prepare.check(raw(), BLOCK.model_copy(update={"objects": {"horse": ("a horse",)}}))
    with pytest.raises(ValueError, match="no sentence for bus"):
        check(SimpleNamespace(train=SimpleNamespace(split="train")), SimpleNamespace(objects={"bus": ()}), None)
    with pytest.raises(ValueError, match="take train"):
        check(SimpleNamespace(train=SimpleNamespace(split="train+val")), BLOCK, None)
