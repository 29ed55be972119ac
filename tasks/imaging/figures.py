"""The figures of the results, as small PNG files.

Their backgrounds are transparent and their ink is a middle grey, so that they read on light pages and on dark ones. Only
matplotlib's objects are used: `pyplot` keeps a global state that threads and servers share.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.common.files import atomic

INK = "#7d828c"
FAINT = "#7d828c40"
BLUE = "#3f83d8"
ORANGE = "#df7b2f"
# From nothing to blue, so that an empty cell has the page's own colour.
BLUES = LinearSegmentedColormap.from_list("blues", [(0.247, 0.514, 0.847, alpha) for alpha in (0.0, 1.0)])
ERRORS = "inferno"
TEXT: dict[str, Any] = {"color": INK, "fontsize": 9}

# Dots per inch: sharp letters on dense screens; pictures, which are large as files, at fewer.
SHARP = 144
PHOTOGRAPHIC = 100

# Of pictures that are shown: their places in the order of a measure, so that they are chosen by rule and not by eye.
SHOWN = {"best": 1.0, "upper quartile": 0.75, "median": 0.5, "lower quartile": 0.25, "worst": 0.0}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; identical figures give identical files."""
    with atomic(path) as temporary:
        temporary.write_bytes(png(figure))


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png", transparent=True, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})
    return content.getvalue()


def curves(history: pd.DataFrame, metric: str, label: str) -> Figure:
    """Learning curves: losses on the left, the validation `metric` on the right, a line a seed.

    `history`: columns seed, epoch, and those of train_loss, val_loss and val_<metric> that were measured. `label`: the metric's name.
    """
    figure = Figure((8, 2.9), SHARP, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (_, rows) in enumerate(history.groupby("seed")):
        style: dict[str, Any] = {"lw": 1.6, "marker": "o" if len(rows) == 1 else None}
        for axes, column, colour, words in (
            (left, "train_loss", ORANGE, "train"),
            (left, "val_loss", BLUE, "validation"),
            (right, f"val_{metric}", BLUE, ""),
        ):
            if column in rows:
                measured = rows.dropna(subset=column)
                axes.plot(measured["epoch"], measured[column], color=colour, label=None if number else words, **style)
    for axes, title in ((left, "Loss"), (right, f"Validation {label}")):
        plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("epoch", **TEXT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="y", color=FAINT, lw=0.7)
    left.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def picture(axes: Axes, picture: np.ndarray, colours: str = "gray") -> None:
    """Draw uint8 (H, W), (H, W, 1) or (H, W, 3), pixels kept square."""
    axes.imshow(
        picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap=colours, vmin=0, vmax=255, interpolation="nearest"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    plain(axes, spines=())


def plain(axes: Axes, spines: Sequence[str] = ("bottom",)) -> None:
    """Draw an axes' frame and ticks in the figures' ink, with the named sides of the frame alone."""
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.patch.set_alpha(0)
