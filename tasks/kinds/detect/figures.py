"""The figures of a detector's result: precision and recall, errors by kind, and pictures chosen by rule."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, PHOTOGRAPHIC, SHARP, SHOWN, TEXT, picture, plain
from tasks.kinds.detect import detections

GREEN, RED = "#2e9e6b", "#d2453b"
# An object's frame; a detection that found one, one that did not.
COLOURS = {"object": "#ffffff", "correct": GREEN, "wrong": RED}
IN_A_ROW = 4


def precision_recall(curves: pd.DataFrame, classes: pd.DataFrame, threshold: float) -> Figure:
    """A curve a class, faint but for the best, the median and the worst, with a dot at the threshold."""
    figure = Figure((8, 3.4), SHARP, layout="constrained")
    axes = figure.subplots()
    ranked = classes.dropna(subset="ap").sort_values("ap", ascending=False, kind="stable")
    named = dict(zip(ranked["class"].iloc[[0, len(ranked) // 2, -1]], (GREEN, BLUE, RED))) if len(ranked) else {}
    average = ranked.set_index("class")["ap"]
    for name, rows in curves.groupby("class", sort=False):
        if name not in average:
            continue
        colour = named.get(name, FAINT)
        label = f"{name}, AP {100 * average[name]:.1f} %" if name in named else None
        axes.plot(rows["recall"], rows["precision"], color=colour, lw=1.6 if name in named else 0.8, label=label)
        sure = rows[rows["score"] >= threshold]
        if name in named and len(sure):
            axes.plot(sure["recall"].iloc[-1], sure["precision"].iloc[-1], "o", color=colour, ms=5)
    plain(axes, spines=("bottom", "left"))
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall", **TEXT)
    axes.set_ylabel("precision", **TEXT)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="upper right")
    return figure


def errors(classes: pd.DataFrame) -> Figure:
    """Detections from the threshold on and missed objects, a bar a class, by what became of them."""
    colours = {
        "correct": GREEN,
        "duplicate": "#9aa2ad",
        "location": BLUE,
        "wrong_class": "#9b6bd3",
        "background": ORANGE,
        "missed": RED,
    }
    figure = Figure((8, 0.9 + 0.24 * len(classes)), SHARP, layout="constrained")
    axes = figure.subplots()
    start = np.zeros(len(classes))
    for kind, colour in colours.items():
        values = classes[kind].to_numpy(float)
        # What is missed stands to the left of zero: it is no detection.
        axes.barh(
            classes["class"],
            -values if kind == "missed" else values,
            left=None if kind == "missed" else start,
            color=colour,
            label=kind.replace("_", " "),
        )
        start += 0 if kind == "missed" else values
    plain(axes)
    axes.axvline(0, color=INK, lw=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("missed objects | detections", **TEXT)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8, ncols=len(colours), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def drawn(
    images: np.ndarray, objects: pd.DataFrame, table: pd.DataFrame, kinds: np.ndarray, classes: Sequence[str], threshold: float
) -> Figure:
    """Test images by their place in the order of F1, with objects (white) and detections from the threshold on (right green, wrong red)."""
    sure = (table["score"] >= threshold).to_numpy()
    asked = np.bincount(objects["image"][~objects["difficult"].astype(bool)], minlength=len(images))
    counted = sure & (kinds != detections.OUTCOMES.index("ignored"))
    made = np.bincount(table["image"][counted], minlength=len(images))
    right = np.bincount(table["image"][counted & (kinds == 0)], minlength=len(images))
    f1 = 2 * right / np.maximum(made + asked, 1)
    # Images with one object are right or wrong; what has several shows more.
    several = np.flatnonzero(asked >= min(2, asked.max(initial=0)))
    order = several[np.lexsort((asked[several], f1[several]))]
    rows = []
    for words, share in SHOWN.items():
        place = min(max(round(share * (len(order) - 1)) - IN_A_ROW // 2, 0), max(len(order) - IN_A_ROW, 0))
        rows.append((words, order[place : place + IN_A_ROW]))
    figure = Figure((2.1 * IN_A_ROW, 2.2 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    grid = figure.subplots(len(rows), IN_A_ROW, squeeze=False)
    for axes, (words, shown) in zip(grid, rows):
        for cell in axes[len(shown) :]:
            cell.set_axis_off()
        for cell, image in zip(axes, shown):
            picture(cell, images[image])
            for thing in objects[objects["image"] == image].itertuples():
                frame(cell, thing, COLOURS["object"], dashed=bool(thing.difficult))
            for row in table.index[(table["image"] == image) & sure]:
                if detections.OUTCOMES[kinds[row]] != "ignored":
                    thing = table.loc[row]
                    words_here = f"{classes[int(thing.label)]} {thing.score:.0%}"
                    frame(cell, thing, COLOURS["correct" if kinds[row] == 0 else "wrong"], words_here)
            cell.set_title(f"F1 {f1[image]:.2f}", pad=2, color=INK, fontsize=8)
        axes[0].set_ylabel(words, **TEXT)
    return figure


def frame(axes: Axes, box: Any, colour: str, words: str = "", dashed: bool = False) -> None:
    axes.add_patch(
        Rectangle(
            (box.x1 - 0.5, box.y1 - 0.5),
            box.x2 - box.x1,
            box.y2 - box.y1,
            fill=False,
            ec=colour,
            lw=1.2,
            ls=":" if dashed else "-",
        )
    )
    if words:
        style: dict[str, Any] = {"color": "white", "fontsize": 5.5, "va": "bottom", "clip_on": True}
        axes.text(box.x1, box.y1, words, bbox={"fc": colour, "ec": "none", "pad": 0.6}, **style)
