"""What an evaluation of a detector measures and writes: tables, precision-recall curves, errors by kind, and pictures chosen by rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from tasks.datasets.data import Data, Info
from tasks.evaluation import detections, figures
from tasks.evaluation.figures import BLUE, FAINT, INK, ORANGE, TEXT, plain
from tasks.learning import detect
from tasks.params.experiment import Train

MAIN = "map50"
GREEN, RED = "#2e9e6b", "#d2453b"
# An object's frame; a detection that found one, one that did not.
COLOURS = {"object": "#ffffff", "correct": GREEN, "wrong": RED}
# Pictures of the page, by their place in the order of F1 at the threshold: chosen by rule, not by eye.
SHOWN = {"best": 1.0, "upper quartile": 0.75, "median": 0.5, "lower quartile": 0.25, "worst": 0.0}
IN_A_ROW = 4
# Points of a curve in its table: a class may have a hundred thousand detections.
POINTS = 101


def measure(
    network: nn.Module, test: Data, info: Info, recipe: Train, device: torch.device, validated: Mapping[str, float]
) -> tuple[np.ndarray, dict[str, float]]:
    """Detections (N, K, 6) of a split, and their metrics; `validated` has the threshold of scores that validation chose."""
    found = detect.predict(network, test.images, recipe.precision)
    summary = detections.summary(found, test.boxes, info.classes, validated["threshold"])
    return found, summary | detections.coco(found, test.boxes, info.classes)


def write(test: Data, info: Info, found: np.ndarray, validated: Mapping[str, float], plots: Path, predictions: Path) -> None:
    """Tables and figures into `plots`, the detections themselves into `predictions`."""
    threshold = validated["threshold"]
    objects = test.boxes
    table = detections.match(found, objects)
    kinds = detections.outcomes(table)
    table.assign(outcome=np.array(detections.OUTCOMES)[kinds]).to_parquet(predictions / "detections.parquet", index=False)
    classes = detections.per_class(table, objects, info.classes, threshold)
    curves = detections.curves(table, objects, info.classes)
    sizes = detections.recall_by_size(table, objects, threshold)
    for name, frame in (("per_class", classes), ("curves", thin(curves)), ("recall_by_size", sizes)):
        frame.to_csv(plots / f"{name}.csv", index=False, float_format="%.4f", lineterminator="\n")
    figures.save(precision_recall(curves, classes, threshold), plots / "precision_recall.png")
    figures.save(errors(classes), plots / "errors.png")
    figures.save(drawn(test, table, kinds, info.classes, threshold), plots / "detections.png")


def thin(curves: pd.DataFrame) -> pd.DataFrame:
    """Of each class's curve the points nearest to even distances."""
    kept = [
        rows.iloc[np.unique(np.linspace(0, len(rows) - 1, POINTS).astype(int))] for _, rows in curves.groupby("class", sort=False)
    ]
    return pd.concat(kept) if kept else curves


def precision_recall(curves: pd.DataFrame, classes: pd.DataFrame, threshold: float) -> Figure:
    """A curve a class, faint but for the best, the median and the worst, with a dot at the threshold."""
    figure = Figure((8, 3.4), figures.SHARP, layout="constrained")
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
    figure = Figure((8, 0.9 + 0.24 * len(classes)), figures.SHARP, layout="constrained")
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


def drawn(test: Data, table: pd.DataFrame, kinds: np.ndarray, classes: Sequence[str], threshold: float) -> Figure:
    """Test images by their place in the order of F1, with objects (white) and detections from the threshold on (right green, wrong red)."""
    objects = test.boxes
    sure = (table["score"] >= threshold).to_numpy()
    asked = np.bincount(objects["image"][~objects["difficult"].astype(bool)], minlength=len(test))
    counted = sure & (kinds != detections.OUTCOMES.index("ignored"))
    made = np.bincount(table["image"][counted], minlength=len(test))
    right = np.bincount(table["image"][counted & (kinds == 0)], minlength=len(test))
    f1 = 2 * right / np.maximum(made + asked, 1)
    # Images with one object are right or wrong; what has several shows more.
    several = np.flatnonzero(asked >= min(2, asked.max(initial=0)))
    order = several[np.lexsort((asked[several], f1[several]))]
    rows = []
    for words, share in SHOWN.items():
        place = min(max(round(share * (len(order) - 1)) - IN_A_ROW // 2, 0), max(len(order) - IN_A_ROW, 0))
        rows.append((words, order[place : place + IN_A_ROW]))
    figure = Figure((2.1 * IN_A_ROW, 2.2 * len(rows)), figures.PHOTOGRAPHIC, layout="constrained")
    grid = figure.subplots(len(rows), IN_A_ROW, squeeze=False)
    for axes, (words, images) in zip(grid, rows):
        for cell in axes[len(images) :]:
            cell.set_axis_off()
        for cell, image in zip(axes, images):
            figures._picture(cell, test.images[image])
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
