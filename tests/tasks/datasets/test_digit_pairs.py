"""Pairs of digits: what is kept out of training, whose digits they are, and where they stand."""

from types import SimpleNamespace

import numpy as np
import pytest

from models import sentences
from tasks import preprocess
from tasks.datasets import digit_pairs, sets
from tasks.datasets.labelled import labelled
from tasks.kinds.generate import Prepare

BLOCK = Prepare(dataset="mnist-5k", task="generate", size=56, validation=40, test=50)


def digits():
    """300 digits, of which each has a grey of its own."""
    labels = np.arange(300) % 10
    greys = (np.arange(300) % 250 + 5).astype(np.uint8)
    return labelled({"train": (np.broadcast_to(greys[:, None, None], (300, 28, 28)), labels, "row")}, tuple("0123456789"))


@pytest.fixture
def pairs():
    return digit_pairs.read(digits(), BLOCK, {"train": 160, "val": 80, "test": 100})


def test_every_digit_has_two_partners_on_each_side_that_training_never_sees():
    grid = np.array([[digit_pairs.held_out(10 * first + second) for second in range(10)] for first in range(10)])
    assert (grid.sum(0) == 2).all()
    assert (grid.sum(1) == 2).all()


def test_training_has_the_combinations_that_are_not_held_out_and_test_has_all(pairs):
    seen = {split: [item.label for item in pairs.items.values() if item.split == split] for split in ("train", "val", "test")}
    known = {label for label in range(100) if not digit_pairs.held_out(label)}
    assert {*seen["train"]} == {*seen["val"]} == known
    assert sorted(seen["test"]) == [*range(100)]
    assert pairs.drawn


def test_halves_are_digits_of_the_split_and_of_the_sentence(pairs):
    source, splits = digits(), preprocess.assign(digits(), BLOCK)
    names = {int(pixels[0, 0]): [] for _, pixels in source.images()}
    for name, pixels in source.images():
        names[int(pixels[0, 0])].append(name)
    for name, square in pairs.images():
        item = pairs.items[name]
        assert square.shape == (56, 56)
        assert not square[:14].any()
        assert not square[42:].any()
        assert item.sentences == (sentences.sentence(item.label, 100),)
        for digit, half in zip(divmod(item.label, 10), (square[14:42, :28], square[14:42, 28:])):
            assert any(splits[found] == item.split and source.items[found].label == digit for found in names[int(half[0, 0])])


def test_the_same_block_gives_the_same_pairs(pairs):
    again = digit_pairs.read(digits(), BLOCK, {"train": 160, "val": 80, "test": 100})
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(pairs.images(), again.images(), strict=True))


def test_both_sets_are_made_of_the_files_of_their_digits():
    assert sets.source("pairs").files == sets.source("mnist").files
    assert sets.source("pairs").within == ("mnist",)
    assert sets.source("pairs-5k").packaged == sets.source("mnist-5k").packaged


def test_the_judge_of_halves_fits_pairs_alone():
    from tasks.kinds.generate import halves

    judge = SimpleNamespace(task="classify", inputs=1, size=28, classes=tuple("0123456789"))
    pair = SimpleNamespace(channels=1, size=56, classes=sentences.sentences(100))
    digit = SimpleNamespace(channels=1, size=28, classes=tuple("0123456789"))
    assert halves.fits(judge, pair)
    assert not halves.fits(judge, digit)
