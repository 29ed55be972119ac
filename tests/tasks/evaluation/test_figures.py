import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.imaging import figures
from tasks.reports import overview

RANDOM = np.random.default_rng(0)
HISTORY = pd.DataFrame(
    {
        "seed": [0, 0, 1, 1],
        "epoch": [1, 2, 1, 2],
        "train_loss": [2, 1, 2, 1.5],
        "val_loss": [2, 1.2, 2, 1.6],
        "val_psnr": [20, 25, 19, 24],
    }
)


ROWS = pd.DataFrame(
    {
        "name": [f"a long name of number {i}" for i in range(12)],
        "value": np.linspace(30, 95, 12),
        "published": [*np.linspace(28, 80, 6), *[np.nan] * 6],
        "parameters": [0, *np.geomspace(100, 1e6, 11)],
        "train_seconds": np.geomspace(10, 4000, 12),
    }
)


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
        lambda: figures.curves(HISTORY, "psnr"),
        lambda: figures.curves(HISTORY[HISTORY["epoch"] == 1], "psnr"),
        lambda: overview.sizes(ROWS, "accuracy"),
        lambda: overview.sizes(ROWS.assign(published=np.nan), "accuracy"),
        lambda: overview.ladder(ROWS, "accuracy"),
        lambda: overview.compared({"one": HISTORY, "two": HISTORY}, "psnr", seen=["two"]),
        lambda: figures.weights(RANDOM.normal(size=(10, 32, 32, 3))),
        lambda: figures.weights(RANDOM.normal(size=(100, 3, 3, 1))),
        lambda: figures.confusion(counts(10)),
        lambda: figures.confusion(counts(100)),
        lambda: figures.strip(pictures(5, 3), pictures(5, 1), pictures(5, 1), "abcde"),
        lambda: figures.strip(pictures(1, 1), pictures(1, 1), pictures(1, 1), "a"),
        confused,
    ],
)
def test_a_figure_is_a_small_png_without_background(tmp_path: Path, figure):
    path = tmp_path / "figure.png"
    figures.save(figure(), path)
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert pixels[0, 0, 3] == 0, "the corner is transparent"
    assert pixels[..., 3].max() == 255, "something is drawn"


def test_names_in_the_figure_of_sizes_do_not_overlap():
    figure = overview.sizes(ROWS, "accuracy")
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text() in set(ROWS["name"][1:])]
        assert boxes
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        figures.save(figures.curves(HISTORY, "psnr"), tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_figures_leave_no_global_state():
    before = dict(matplotlib.rcParams)
    figures.confusion(counts(3))
    assert dict(matplotlib.rcParams) == before


def test_curves_draw_every_seed():
    left, right = figures.curves(HISTORY, "psnr").axes
    assert [line.get_ydata().tolist() for line in right.lines] == [[20, 25], [19, 24]]
    assert len(left.lines) == 4
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["train", "validation"]


def test_confusion_shows_counts_by_actual_class():
    table = metrics.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))
    (axes,) = figures.confusion(table).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.5, 0.5], [0, 1]])
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {((0, 0), "1"), ((1, 0), "1"), ((1, 1), "1")}


def test_strip_shows_the_absolute_difference():
    targets, outputs = np.full((1, 16, 16, 1), 200, np.uint8), np.full((1, 16, 16, 1), 10, np.uint8)
    figure = figures.strip(pictures(1, 3, 16), targets, outputs, ["one"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["input", "target", "output", "difference"]
    assert (figure.axes[3].images[0].get_array() == 190).all()


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
