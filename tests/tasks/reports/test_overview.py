import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.reports import overview
from tests.tasks import drawn
from tests.tasks.imaging.test_figures import HISTORY

ROWS = pd.DataFrame(
    {
        "name": [f"a long name of number {i}" for i in range(12)],
        "value": np.linspace(30, 95, 12),
        "published": [*np.linspace(28, 80, 6), *[np.nan] * 6],
        "parameters": [0, *np.geomspace(100, 1e6, 11)],
        "train_seconds": np.geomspace(10, 4000, 12),
    }
)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: overview.sizes(ROWS, "accuracy"),
        lambda: overview.sizes(ROWS.assign(published=np.nan), "accuracy"),
        lambda: overview.ladder(ROWS, "accuracy"),
        lambda: overview.compared({"one": HISTORY, "two": HISTORY}, "psnr", "PSNR", seen=["two"]),
    ],
)
def test_a_figure_is_a_small_png_without_background(tmp_path: Path, figure):
    drawn.check(figure(), tmp_path / "figure.png")


def test_names_in_the_figure_of_sizes_do_not_overlap():
    figure = overview.sizes(ROWS, "accuracy")
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text() in set(ROWS["name"][1:])]
        assert boxes
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
