"""The figures of the results, as small PNG files.

Their backgrounds are transparent and their ink is a middle grey, so that they read on light pages and on dark ones. Only
matplotlib's objects are used: `pyplot` keeps a global state that threads and servers share.
"""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
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

NAMES = {
    "accuracy": "accuracy",
    "loss": "loss",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
}
# More classes than this get neither names nor numbers in their cells.
NAMED_CLASSES = 20


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


def curves(history: pd.DataFrame, metric: str) -> Figure:
    """Learning curves: losses on the left, the validation `metric` on the right, a line a seed.

    `history`: columns seed, epoch, train_loss, val_loss, val_<metric>.
    """
    figure = Figure((8, 2.9), SHARP, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (_, rows) in enumerate(history.groupby("seed")):
        style: dict[str, Any] = {"lw": 1.6, "marker": "o" if len(rows) == 1 else None}
        left.plot(rows["epoch"], rows["train_loss"], color=ORANGE, label=None if number else "train", **style)
        left.plot(rows["epoch"], rows["val_loss"], color=BLUE, label=None if number else "validation", **style)
        right.plot(rows["epoch"], rows[f"val_{metric}"], color=BLUE, **style)
    for axes, title in ((left, "Loss"), (right, f"Validation {NAMES.get(metric, metric)}")):
        plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("epoch", **TEXT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="y", color=FAINT, lw=0.7)
    left.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def confusion(counts: pd.DataFrame) -> Figure:
    """A confusion matrix (`tasks.evaluation.metrics.confusion`), coloured by the share of each actual class, with counts in the cells."""
    table = counts.to_numpy()
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    named = len(table) <= NAMED_CLASSES
    side = 1.6 + 0.38 * len(table) if named else 5.5
    figure = Figure((side, side), SHARP, layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap=BLUES, vmin=0, vmax=1)
    plain(axes, spines=())
    axes.set_xlabel("predicted", **TEXT)
    axes.set_ylabel("actual", **TEXT)
    if not named:
        return figure
    names = [str(name) for name in counts.columns]
    long = max(map(len, names)) > 3
    axes.set_xticks(
        range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    # White lines between cells would be wrong on a dark page: faint ones are right on both.
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, lw=0.5)
    axes.tick_params(which="minor", length=0)
    for (row, column), count in np.ndenumerate(table):
        if count:
            ink = "white" if share[row, column] > 0.5 else INK
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)
    return figure


def weights(units: np.ndarray, most: int = 64) -> Figure:
    """The weights of a first layer as pictures, (units, H, W, 1 or 3): grey is 0; each is stretched by its own largest weight."""
    units = units[:most]
    count, height, width, _ = units.shape
    scaled = 127.5 * (1 + units / np.maximum(np.abs(units).max((1, 2, 3), keepdims=True), 1e-12))
    columns = min(16, count)
    rows = -(-count // columns)
    gap = max(1, height // 12)
    # One picture with transparent gaps: an axis for each would take seconds to lay out.
    mosaic = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for index, picture in enumerate(scaled.round().astype(np.uint8)):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        mosaic[top : top + height, left : left + width, :3] = np.broadcast_to(picture, (height, width, 3))
        mosaic[top : top + height, left : left + width, 3] = 255
    figure = Figure((0.5 * columns, 0.5 * rows), SHARP, layout="constrained")
    _picture(figure.subplots(), mosaic)
    return figure


def strip(inputs: np.ndarray, targets: np.ndarray, outputs: np.ndarray, titles: Sequence[str]) -> Figure:
    """Pictures side by side, a column an example under its title: input, target, output and their absolute difference.

    `inputs` (N, H, W, 1 or 3), `targets` and `outputs` (N, H, W, C), all uint8.
    """
    figure = Figure(
        (1.35 * len(inputs) + 0.5, 1.35 * 4 + 0.3),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02),
    )
    grid = figure.subplots(4, len(inputs), squeeze=False)
    difference = np.abs(outputs.astype(int) - targets.astype(int)).max(3).astype(np.uint8)
    for row, (name, pictures) in enumerate(
        (("input", inputs), ("target", targets), ("output", outputs), ("difference", difference))
    ):
        grid[row, 0].set_ylabel(name, **TEXT)
        for column, picture in enumerate(pictures):
            _picture(grid[row, column], picture, ERRORS if name == "difference" else "gray")
    for axes, title in zip(grid[0], titles):
        axes.set_title(title, **TEXT)
    return figure


def confused(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], pairs: int = 4) -> Figure:
    """The pairs of classes that are mistaken most often, a row each, with the surest mistakes and their probability.

    `images` uint8 (N, H, W, C), `labels` (N,), `probabilities` (N, K).
    """
    columns = 6
    predicted = probabilities.argmax(1)
    wrong = predicted != labels
    mistakes = Counter(zip(labels[wrong].tolist(), predicted[wrong].tolist()))
    # Ties go by class number, so that the same predictions give the same figure.
    rows = sorted(mistakes.items(), key=lambda item: (-item[1], item[0]))[:pairs]
    if not rows:
        figure = Figure((5, 0.5), SHARP)
        figure.text(0, 0.4, "No mistakes on the test images.", **TEXT)
        return figure
    figure = Figure((columns * 0.95 + 1.6, 1.2 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, ((actual, guess), count) in zip(grid, rows):
        here = np.flatnonzero((labels == actual) & (predicted == guess))
        surest = here[np.argsort(-probabilities[here, guess], kind="stable")][:columns]
        for cell, index in zip(axes, surest):
            _picture(cell, images[index])
            cell.set_title(f"{probabilities[index, guess]:.0%}", pad=2, color=INK, fontsize=8)
        for cell in axes[len(surest) :]:
            cell.set_axis_off()
        words = f"{classes[actual]}\ntaken for\n{classes[guess]}\n({count} times)"
        axes[0].set_ylabel(words, rotation=0, ha="right", va="center", labelpad=8, color=INK, fontsize=8)
    return figure


def _picture(axes: Axes, picture: np.ndarray, colours: str = "gray") -> None:
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
