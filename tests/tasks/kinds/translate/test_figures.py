from pathlib import Path

import numpy as np
import pytest

from tasks.kinds.translate import figures
from tests.tasks import drawn

RANDOM = np.random.default_rng(0)


def pictures(count: int, channels: int, size: int = 32) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, size, size, channels), np.uint8)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.strip(pictures(5, 3), pictures(5, 1), pictures(5, 1), "abcde"),
        lambda: figures.strip(pictures(1, 1), pictures(1, 1), pictures(1, 1), "a"),
    ],
)
def test_a_figure_is_a_small_png_without_background(tmp_path: Path, figure):
    drawn.check(figure(), tmp_path / "figure.png")


def test_strip_shows_the_absolute_difference():
    targets, outputs = np.full((1, 16, 16, 1), 200, np.uint8), np.full((1, 16, 16, 1), 10, np.uint8)
    figure = figures.strip(pictures(1, 3, 16), targets, outputs, ["one"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["input", "target", "output", "difference"]
    assert (figure.axes[3].images[0].get_array() == 190).all()
