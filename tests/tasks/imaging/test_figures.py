from pathlib import Path

import matplotlib
import pandas as pd
import pytest

from tasks.imaging import figures
from tests.tasks import drawn

HISTORY = pd.DataFrame(
    {
        "seed": [0, 0, 1, 1],
        "epoch": [1, 2, 1, 2],
        "train_loss": [2, 1, 2, 1.5],
        "val_loss": [2, 1.2, 2, 1.6],
        "val_psnr": [20, 25, 19, 24],
    }
)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.curves(HISTORY, "psnr", "PSNR (dB)"),
        lambda: figures.curves(HISTORY[HISTORY["epoch"] == 1], "psnr", "PSNR (dB)"),
    ],
)
def test_a_figure_is_a_small_png_without_background(tmp_path: Path, figure):
    drawn.check(figure(), tmp_path / "figure.png")


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        figures.save(figures.curves(HISTORY, "psnr", "PSNR (dB)"), tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_curves_draw_every_seed():
    left, right = figures.curves(HISTORY, "psnr", "PSNR (dB)").axes
    assert [line.get_ydata().tolist() for line in right.lines] == [[20, 25], [19, 24]]
    assert len(left.lines) == 4
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["train", "validation"]


def test_figures_leave_no_global_state():
    before = dict(matplotlib.rcParams)
    figures.curves(HISTORY, "psnr", "PSNR (dB)")
    assert dict(matplotlib.rcParams) == before
