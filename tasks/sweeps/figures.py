"""The figures of a sweep: its Pareto front, its trials in parallel coordinates, what mattered, ASHA's rungs, and what it cost."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, SHARP, TEXT, plain, save
from tasks.sweeps import tables
from tasks.sweeps.study import Study

GREEN = "#2ca58d"
COLOURS = {"complete": BLUE, "pruned": FAINT, "failed": ORANGE, "infeasible": FAINT}
# More labels of an axis would not be read.
MOST_LABELS = 8


def draw(study: Study, folder: Path, shown: Path) -> None:
    """Write the figures as PNG into `folder`, and the tables that they show as CSV into `shown`."""
    table, curves = tables.trials(study), tables.curves(study)
    objective = study.sweep.objective
    shares = tables.importances(study)
    importance = pd.DataFrame({"value": [*shares], "importance": [*shares.values()]})
    rungs = asha(study)
    front = pd.DataFrame([{"trial": t.number, "parameters": t.parameters, "val_loss": t.val_loss} for t in study.front()])
    for name, frame in (("front", front), ("importance", importance), ("rungs", rungs)):
        frame.to_csv(shown / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    save(pareto(table, front, objective.bound, study.winner().number), folder / "front.png")
    save(parallel(table, [*study.sweep.space], study.winner().number), folder / "parallel.png")
    if len(importance):
        save(importances(importance), folder / "importance.png")
    save(stopped(curves, table, rungs), folder / "rungs.png")
    save(cost(table), folder / "cost.png")


def asha(study: Study) -> pd.DataFrame:
    """A row a rung: epoch, trials that reached it, and those that went on."""
    options, epochs = study.sweep.scheduler, study.sweep.train.epochs
    reached = [options.grace * options.reduction**k for k in range(64) if options.grace * options.reduction**k < epochs]
    rows = [
        {
            "epoch": epoch,
            "reached": sum(len(trial.rows) >= epoch for trial in study.trials),
            "went_on": sum(len(trial.rows) > epoch for trial in study.trials),
        }
        for epoch in reached
    ]
    return pd.DataFrame([*rows, {"epoch": epochs, "reached": len(study.of("complete")), "went_on": len(study.of("complete"))}])


def pareto(table: pd.DataFrame, front: pd.DataFrame, bound: float | None, winner: int) -> Figure:
    """Validation loss against parameters of every trial that trained; the front a line, the bound a dashed one."""
    figure = Figure((5.6, 3.8), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes, ("left", "bottom"))
    axes.grid(axis="y", color=FAINT, lw=0.7)
    for state, words in (("pruned", "stopped early"), ("complete", "ran to the end")):
        rows = table[(table["state"] == state) & table["val_loss"].notna()]
        axes.scatter(rows["parameters"], rows["val_loss"], color=COLOURS[state], s=20, label=words, zorder=3)
    axes.step(front["parameters"], front["val_loss"], color=BLUE, lw=1.2, where="post", label="front")
    best = table[table["trial"] == winner]
    axes.scatter(
        best["parameters"], best["val_loss"], facecolors="none", edgecolors=ORANGE, s=90, lw=1.6, label="winner", zorder=4
    )
    if bound is not None:
        axes.axhline(bound, color=ORANGE, lw=1, linestyle="--", label=f"bound {bound:g}")
    _logarithmic(axes)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("parameters", **TEXT)
    axes.set_ylabel("validation loss", **TEXT)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    return figure


def parallel(table: pd.DataFrame, keys: list[str], winner: int) -> Figure:
    """A line a trial across the values that were drawn for it, to its parameters and its validation loss."""
    rows = table[table["val_loss"].notna()]
    columns = [*keys, "parameters", "val_loss"]
    figure = Figure((max(6.0, 1.35 * len(columns)), 3.8), SHARP, layout="constrained")
    axes = figure.subplots()
    places = {column: _scaled(rows[column]) for column in columns}
    for place, (number, state) in enumerate(zip(rows["trial"], rows["state"])):
        line = [places[column][0].iloc[place] for column in columns]
        best = number == winner
        colour = ORANGE if best else COLOURS[str(state)]
        axes.plot(
            range(len(columns)),
            line,
            color=colour,
            lw=2.2 if best else 0.9,
            zorder=3 if best else 2 if state == "complete" else 1,
        )
    for side, column in enumerate(columns):
        axes.axvline(side, color=FAINT, lw=0.8, zorder=0)
        for height, words in places[column][1]:
            axes.annotate(words, (side, height), (3, 0), textcoords="offset points", va="center", color=INK, fontsize=6.5)
    axes.set_xticks(
        range(len(columns)), [column.replace("architecture.", "").replace("train.", "") for column in columns], rotation=20
    )
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(columns) - 0.4)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _scaled(values: pd.Series) -> tuple[pd.Series, list[tuple[float, str]]]:
    """Values in [0, 1], and labels with their places: of numbers the bounds and the middle, of words all."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        words = sorted({str(value) for value in values})
        step = 1 / max(1, len(words) - 1)
        return values.map(lambda value: words.index(str(value)) * step), [
            (i * step, w[:18]) for i, w in enumerate(words[:MOST_LABELS])
        ]
    low, high = float(values.min()), float(values.max())
    spread = low > 0 and high / low > 8
    numbers = np.log(values) if spread else values
    start, end = float(numbers.min()), float(numbers.max())
    middle = np.exp((start + end) / 2) if spread else (start + end) / 2
    labels = [(0.0, low), (0.5, middle), (1.0, high)] if high > low else [(0.5, low)]
    scaled = (numbers - start) / (end - start) if high > low else numbers * 0 + 0.5
    return scaled, [(place, f"{value:,.0f}" if value >= 1000 else f"{value:.3g}") for place, value in labels]


def importances(table: pd.DataFrame) -> Figure:
    """Each value's share in the spread of the validation loss."""
    ordered = table.sort_values("importance")
    figure = Figure((5.6, 0.6 + 0.32 * len(ordered)), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes, ("bottom",))
    axes.barh(ordered["value"], ordered["importance"], color=BLUE, height=0.6)
    axes.set_xlabel("importance for the validation loss", **TEXT)
    return figure


def stopped(curves: pd.DataFrame, table: pd.DataFrame, rungs: pd.DataFrame) -> Figure:
    """Validation loss of every trial by epoch, with ASHA's rungs and how many trials reached each."""
    figure = Figure((5.6, 3.8), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes, ("left", "bottom"))
    states = table.set_index("trial")["state"]
    for number, rows in curves.groupby("trial"):
        colour = COLOURS[str(states[number])]
        axes.plot(rows["epoch"], rows["val_loss"], color=colour, lw=1, marker=".", ms=3, zorder=2 if colour == BLUE else 1)
    for _, rung in rungs.iterrows():
        axes.axvline(rung["epoch"], color=GREEN, lw=0.8, linestyle=":", zorder=0)
        axes.annotate(
            f"{rung['reached']:.0f}", (rung["epoch"], 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", color=INK, fontsize=8,
        )  # fmt: skip
    _logarithmic(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch (above: trials that reached the rung)", **TEXT)
    axes.set_ylabel("validation loss", **TEXT)
    return figure


def _logarithmic(axes: Axes) -> None:
    """A trial that went wrong loses so much that the others would lie on one line."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def cost(table: pd.DataFrame) -> Figure:
    """Seconds of training of each trial, in the order of their numbers."""
    rows = table[table["state"] != "infeasible"]
    figure = Figure((5.6, 2.4), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes, ("left", "bottom"))
    axes.bar(rows["trial"], rows["seconds"], color=[COLOURS[state] for state in rows["state"]], width=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial", **TEXT)
    axes.set_ylabel("training (s)", **TEXT)
    return figure
