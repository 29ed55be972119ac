"""The figures of a classifier's result: confusion of classes, surest mistakes, what the first layer looks for."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUES, FAINT, INK, PHOTOGRAPHIC, SHARP, TEXT, picture, plain

# More classes than this get neither names nor numbers in their cells.
NAMED_CLASSES = 20


def confusion(counts: pd.DataFrame) -> Figure:
    """A confusion matrix (`tasks.kinds.classify.metrics.confusion`), coloured by the share of each actual class, with counts in the cells."""
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
            picture(cell, images[index])
            cell.set_title(f"{probabilities[index, guess]:.0%}", pad=2, color=INK, fontsize=8)
        for cell in axes[len(surest) :]:
            cell.set_axis_off()
        words = f"{classes[actual]}\ntaken for\n{classes[guess]}\n({count} times)"
        axes[0].set_ylabel(words, rotation=0, ha="right", va="center", labelpad=8, color=INK, fontsize=8)
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
    for index, unit in enumerate(scaled.round().astype(np.uint8)):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        mosaic[top : top + height, left : left + width, :3] = np.broadcast_to(unit, (height, width, 3))
        mosaic[top : top + height, left : left + width, 3] = 255
    figure = Figure((0.5 * columns, 0.5 * rows), SHARP, layout="constrained")
    picture(figure.subplots(), mosaic)
    return figure
