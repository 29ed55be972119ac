from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from tasks.kinds.classify import figures, metrics
from tests.tasks import drawn

RANDOM = np.random.default_rng(0)


def pictures(count: int, channels: int, size: int = 32) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, size, size, channels), np.uint8)


def counts(classes: int) -> pd.DataFrame:
    labels, predicted = RANDOM.integers(0, classes, (2, 5000))
    return metrics.confusion(predicted, labels, [f"class {i}" for i in range(classes)])


def confused(images: int = 400, classes: int = 10):
    probabilities = RANDOM.dirichlet(np.ones(classes), images)
    names = [f"class {i}" for i in range(classes)]
    return figures.confused(pictures(images, 3), RANDOM.integers(0, classes, images), probabilities, names)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.weights(RANDOM.normal(size=(10, 32, 32, 3))),
        lambda: figures.weights(RANDOM.normal(size=(100, 3, 3, 1))),
        lambda: figures.confusion(counts(10)),
        lambda: figures.confusion(counts(100)),
        confused,
    ],
)
def test_a_figure_is_a_small_png_without_background(tmp_path: Path, figure):
    drawn.check(figure(), tmp_path / "figure.png")


def test_figures_leave_no_global_state():
    before = dict(matplotlib.rcParams)
    figures.confusion(counts(3))
    assert dict(matplotlib.rcParams) == before


def test_confusion_shows_counts_by_actual_class():
    table = metrics.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))
    (axes,) = figures.confusion(table).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.5, 0.5], [0, 1]])
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {((0, 0), "1"), ((1, 0), "1"), ((1, 1), "1")}


def test_confused_ranks_pairs_by_count_and_shows_the_surest_first():
    labels = np.array([0, 0, 0, 1, 2])
    probabilities = np.array([[0.4, 0.6, 0], [0.1, 0.9, 0], [1, 0, 0], [0, 0.3, 0.7], [0, 0, 1]])
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    figure = figures.confused(images, labels, probabilities, ("cat", "dog", "emu"))
    assert [a.get_ylabel().replace("\n", " ") for a in figure.axes if a.get_ylabel()] == [
        "cat taken for dog (2 times)",
        "dog taken for emu (1 times)",
    ]
    shown = [(a.get_title(), int(a.images[0].get_array().max())) for a in figure.axes if a.images]
    assert shown == [("90%", 1), ("60%", 0), ("70%", 3)]


def test_confused_says_when_there_are_no_mistakes():
    figure = figures.confused(pictures(2, 1), np.array([0, 1]), np.eye(2), ("cat", "dog"))
    assert [text.get_text() for text in figure.texts] == ["No mistakes on the test images."]
