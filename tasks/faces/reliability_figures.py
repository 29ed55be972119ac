"""The figures of how far a network's answers can be trusted."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tasks.faces.calibration import Calibration
from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, SHARP, TEXT, plain

# Faces in a bin of sharpness.
PER_BIN = 500


def trust(diagram: pd.DataFrame, coverage: pd.DataFrame, result: Mapping[str, Any]) -> Figure:
    """Accuracy against confidence before and after calibration on the left, accuracy against the share left uncertain on the right.

    `diagram`: columns calibrated, confidence, accuracy. `coverage`: columns uncertain, accuracy.
    """
    figure = Figure((8, 3.2), SHARP, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=FAINT, lw=1)
    for calibrated, colour, words in ((False, ORANGE, "before"), (True, BLUE, "after")):
        rows = diagram[diagram["calibrated"] == calibrated]
        error = result["metrics"]["ece_calibrated" if calibrated else "ece"]
        left.plot(rows["confidence"], rows["accuracy"], color=colour, marker="o", ms=3, lw=1.4, label=f"{words}: ECE {error:.1%}")
    left.set_xlabel("probability of the answer", **TEXT)
    right.plot(coverage["uncertain"], coverage["accuracy"], color=BLUE, lw=1.6)
    metrics = result["metrics"]
    right.plot(
        1 - metrics["coverage"], metrics["accuracy_certain"], "o", color=ORANGE, label=f"threshold {result['threshold']:.2f}"
    )
    right.set_xlabel("share left uncertain", **TEXT)
    for axes, title in ((left, "Calibration"), (right, "Accuracy of what is certain")):
        plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    left.set_ylabel("accuracy", **TEXT)
    return figure


def robustness(table: pd.DataFrame, summary: pd.DataFrame, calibration: Calibration) -> Figure:
    """Accuracy against sharpness, of blurred faces, and against size, of shrunk ones; a line where the flags begin.

    `table`: a row a face, `summary`: a row a way of worsening (`tasks.reliability`).
    """
    figure = Figure((8, 3.2), SHARP, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    blurred = table[table["side"] == table["side"].max()].sort_values("sharpness")
    groups = blurred.groupby(pd.RangeIndex(len(blurred)) // PER_BIN)
    left.plot(groups["sharpness"].median(), groups["correct"].mean(), color=BLUE, lw=1.4, marker="o", ms=2)
    left.set_xscale("log")
    left.axvline(max(calibration.blurred, 1e-3), color=ORANGE, lw=1)
    shrunk = summary[summary["sigma"] == 0].sort_values("side")
    right.plot(shrunk["side"], shrunk["accuracy"], color=BLUE, lw=1.4, marker="o", ms=3)
    right.axvline(calibration.small, color=ORANGE, lw=1)
    for axes, title, words in (
        (left, "Blurred faces", "variance of the Laplacian"),
        (right, "Shrunk faces", "side in pixels"),
    ):
        plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel(words, **TEXT)
        axes.grid(axis="y", color=FAINT, lw=0.7)
    left.set_ylabel("accuracy", **TEXT)
    return figure
