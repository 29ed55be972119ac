"""The figures of the results, as small PNG files.

Their backgrounds are transparent and their ink is a middle grey, so that they read on light pages and on dark ones. Only
matplotlib's objects are used: `pyplot` keeps a global state that threads and servers share.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
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
from matplotlib.transforms import Bbox

from tasks.files import atomic

INK = "#7d828c"
FAINT = "#7d828c40"
BLUE = "#3f83d8"
ORANGE = "#df7b2f"
# Lines of a comparison, told apart on light pages and on dark ones, and by readers who see no red.
LINES = (BLUE, ORANGE, "#2ca58d", "#b05fc9", "#c9a227", INK)
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


def sizes(rows: pd.DataFrame, label: str) -> Figure:
    """Quality against the number of parameters on the left, and against the seconds of training on the right.

    `rows`: columns name, value, parameters, train_seconds, published (or missing). A published value is a ring joined to ours.
    What has no parameters is drawn as a line. A name that has no room is left out: the table has them all.
    """
    figure = Figure((9, 4.2), SHARP, layout="constrained")
    learned = rows[rows["parameters"] > 0]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, words in zip(panels, ("parameters", "train_seconds"), ("parameters", "training (s)")):
        _plain(axes, ("left", "bottom"))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        for _, bound in rows[rows["parameters"] == 0].iterrows():
            axes.axhline(bound["value"], color=FAINT, linestyle="--")
            axes.annotate(bound["name"], (0.99, bound["value"]), xycoords=("axes fraction", "data"), va="top", ha="right", **TEXT)
        published = learned[learned["published"].notna()]
        axes.vlines(published[column], published["published"], published["value"], color=FAINT, lw=1.2)
        axes.scatter(published[column], published["published"], facecolors="none", edgecolors=ORANGE, s=22, zorder=3)
        axes.scatter(learned[column], learned["value"], color=BLUE, s=22, zorder=4)
        axes.set_xscale("log")
        axes.set_xlabel(words, **TEXT)
    panels[0].set_ylabel(label, **TEXT)
    panels[0].scatter([], [], color=BLUE, s=22, label="ours")
    if learned["published"].notna().any():
        panels[0].scatter([], [], facecolors="none", edgecolors=ORANGE, s=22, label="published")
        panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    # Names are placed where the points are known to lie, the best first, above and right of its point, or below and left of it.
    figure.draw_without_rendering()
    for axes, column in zip(panels, ("parameters", "train_seconds")):
        taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(learned[[column, "value"]])]
        for _, row in learned.sort_values("value", ascending=False).iterrows():
            for offset, side, height in (
                ((4, 3), "left", "bottom"),
                ((-4, 3), "right", "bottom"),
                ((4, -3), "left", "top"),
                ((-4, -3), "right", "top"),
            ):
                note = axes.annotate(
                    row["name"], (row[column], row["value"]), offset, textcoords="offset points", color=INK, fontsize=7,
                    ha=side, va=height,
                )  # fmt: skip
                box = note.get_window_extent()
                if not any(box.overlaps(other) for other in taken) and axes.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1:
                    taken.append(box)
                    break
                note.remove()
    return figure


def ladder(rows: pd.DataFrame, label: str) -> Figure:
    """A line an experiment, best first: our value and the published one, parameters, and seconds of training.

    `rows`: as for `sizes`.
    """
    rows = rows.sort_values("value").reset_index(drop=True)
    figure = Figure((9, 0.9 + 0.26 * len(rows)), SHARP, layout="constrained")
    panels = figure.subplots(1, 3, sharey=True, width_ratios=[3, 1, 1])
    for axes, column, words in zip(panels, ("value", "parameters", "train_seconds"), (label, "parameters", "training (s)")):
        _plain(axes)
        axes.grid(axis="x", color=FAINT, lw=0.7)
        shown = rows[rows[column] > 0] if column != "value" else rows
        axes.hlines(shown.index, 0, 1, transform=axes.get_yaxis_transform(), color=FAINT, lw=0.5)
        axes.scatter(shown[column], shown.index, color=BLUE, s=24, zorder=4, label="ours")
        axes.set_xlabel(words, **TEXT)
        if column != "value":
            axes.set_xscale("log")
    if rows["published"].notna().any():
        panels[0].scatter(rows["published"], rows.index, facecolors="none", edgecolors=ORANGE, s=24, zorder=3, label="published")
        panels[0].legend(frameon=False, labelcolor=INK, fontsize=8)
    panels[0].set_yticks(range(len(rows)), rows["name"], fontsize=8)
    panels[0].tick_params(axis="y", length=0)
    return figure


def compared(histories: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """Learning curves of several experiments: the training loss on the left, the validation `metric` on the right, first seeds."""
    figure = Figure((8, 2.9), SHARP, layout="constrained")
    panels = figure.subplots(1, 2)
    for index, (name, history) in enumerate(histories.items()):
        rows = history[history["seed"] == history["seed"].iloc[0]]
        for axes, column in zip(panels, ("train_loss", f"val_{metric}")):
            axes.plot(rows["epoch"], rows[column], color=LINES[index % len(LINES)], lw=1.6, label=name)
    for axes, title in zip(panels, ("Training loss", f"Validation {NAMES.get(metric, metric)}")):
        _plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("epoch", **TEXT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="y", color=FAINT, lw=0.7)
    panels[1].legend(frameon=False, labelcolor=INK, fontsize=8)
    return figure


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
        _plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("epoch", **TEXT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="y", color=FAINT, lw=0.7)
    left.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def confusion(counts: pd.DataFrame) -> Figure:
    """A confusion matrix (`tasks.metrics.confusion`), coloured by the share of each actual class, with counts in the cells."""
    table = counts.to_numpy()
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    named = len(table) <= NAMED_CLASSES
    side = 1.6 + 0.38 * len(table) if named else 5.5
    figure = Figure((side, side), SHARP, layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap=BLUES, vmin=0, vmax=1)
    _plain(axes, spines=())
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
    _plain(axes, spines=())


def _plain(axes: Axes, spines: Sequence[str] = ("bottom",)) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.patch.set_alpha(0)
