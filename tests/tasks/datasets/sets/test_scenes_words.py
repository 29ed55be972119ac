"""Each scene has the one sentence that says what stands in it."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tasks.datasets.records import Box
from tasks.datasets.sets import scenes_words
from tests.tasks.datasets.layouts import block, digits


def box(label: int, x: float, y: float, side: float = 30) -> Box:
    return Box(str(label), x, y, x + side, y + side)


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        ([box(8, 5, 5)], "an eight on a cat"),
        ([box(7, 5, 50), box(3, 80, 40)], "a seven to the left of a three on a cat"),
        ([box(7, 80, 50), box(3, 5, 40)], "a three to the left of a seven on a cat"),
        ([box(0, 40, 90), box(1, 50, 5)], "a one above a zero on a cat"),
        ([box(0, 5, 5), box(1, 60, 60)], ""),
    ],
)
def test_a_sentence_says_which_digits_where_and_on_what(boxes: list[Box], sentence: str) -> None:
    assert scenes_words.describe(boxes, len(boxes), "a cat", 100) == sentence
    assert scenes_words.describe(boxes, len(boxes) + 1, "a cat", 100) == ""


def test_what_stands_in_a_scene_is_in_its_sentence_and_nothing_is_in_two_splits(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes_words, "SCENES", 30)
    random = np.random.default_rng(0)
    for name in ("chelsea", "rocket"):
        PIL.Image.fromarray(random.integers(0, 256, (160, 160, 3), np.uint8)).save(raw / f"{name}.png")
    digits(raw)
    data = scenes_words.read(raw, block("scenes-words", task="caption", size=64, validation=0.2, test=0.2))
    assert [item.split for item in data.items.values()].count("train") == 18
    for item in data.items.values():
        (sentence,) = item.sentences
        assert item.boxes
        for box in item.boxes:
            assert scenes_words.DIGITS[int(box.label)] in sentence.split()
        assert sentence.endswith((" on a cat", " on a rocket"))
        assert (len(item.boxes) == 2) == (" above " in sentence or " to the left of " in sentence)
    assert {name for name, _ in data.images()} == {*data.items}
