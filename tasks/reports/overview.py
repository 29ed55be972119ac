"""The figures that show several experiments side by side, for the report."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from tasks import kinds
from tasks.imaging import figures, pictures
from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, SHARP, TEXT, plain
from tasks.kinds import Metric
from tasks.profile import Profile

# From so many experiments on the same data a figure says more than the table.
SEVERAL = 3
# Losses that differ by more are drawn on a logarithmic axis.
WIDE = 20

# Lines of a comparison, told apart on light pages and on dark ones, and by readers who see no red.
LINES = (BLUE, ORANGE, "#2ca58d", "#b05fc9", "#c9a227", INK)


def figures_of(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """All figures that show several experiments."""
    return _overview(profile, results) + _comparisons(profile, results)


def _overview(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Figures of quality beside size and cost for each prepared data set that several networks were trained on."""
    groups: dict[str, list[str]] = {}
    for name in results:
        groups.setdefault(profile.params.experiments[name].data, []).append(name)
    drawn = []
    for data, names in groups.items():
        task = results[names[0]]["task"]
        metric = kinds.metrics(task)[kinds.main_metric(task)]
        names = [name for name in names if metric.name in results[name]["metrics"]]
        if len(names) < SEVERAL:
            continue
        rows = pd.DataFrame(
            {
                "name": names,
                "value": [metric.factor * results[name]["metrics"][metric.name] for name in names],
                "published": [metric.factor * _published(metric.name, results[name]) for name in names],
                "parameters": [results[name]["parameters"] for name in names],
                "train_seconds": [results[name]["train_seconds"] for name in names],
            }
        )
        words = _words(metric)
        for figure, caption in (
            (ladder(rows, words), f"{metric.label} on test of {data}, ours and published, with size and cost."),
            (sizes(rows, words), f"{metric.label} on test of {data}, against size and cost."),
        ):
            drawn.append({"uri": pictures.inline(figures.png(figure)), "caption": caption})
    return drawn


def _published(metric: str, result: Mapping[str, Any]) -> float:
    """What was published on the same data, or not a number."""
    values = [p["value"] for p in result["published"] if p["metric"] == metric and p.get("dataset") in (None, result["dataset"])]
    return float(values[0]) if values else float("nan")


def _comparisons(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """The learning curves of experiments that params.yaml compares."""
    drawn = []
    for title, names in profile.params.comparisons.items():
        files = {name: profile.results(name) / "history.csv" for name in names if name in results}
        histories = {name: pd.read_csv(file) for name, file in files.items() if file.exists()}
        if not histories:
            continue
        task = results[next(iter(histories))]["task"]
        metric = kinds.metrics(task)[kinds.main_metric(task)]
        seen = [name for name in histories if results[name].get("trained_on") == "train+val"]
        uri = pictures.inline(figures.png(compared(histories, metric.name, _words(metric), seen)))
        caption = f"{title.replace('-', ' ').capitalize()}: learning curves on validation."
        if seen:
            caption += " Dotted: trained on validation as well, which is then no test of them."
        drawn.append({"uri": uri, "caption": caption})
    return drawn


def _words(metric: Metric) -> str:
    """A metric's name for an axis."""
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def sizes(rows: pd.DataFrame, label: str) -> Figure:
    """Quality against the number of parameters on the left, and against the seconds of training on the right.

    `rows`: columns name, value, parameters, train_seconds, published (or missing). A published value is a ring joined to ours.
    What has no parameters is drawn as a line. A name that has no room is left out: the table has them all.
    """
    figure = Figure((9, 4.2), SHARP, layout="constrained")
    learned = rows[rows["parameters"] > 0]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, words in zip(panels, ("parameters", "train_seconds"), ("parameters", "training (s)")):
        plain(axes, ("left", "bottom"))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        for _, bound in rows[rows["parameters"] == 0].iterrows():
            axes.axhline(bound["value"], color=FAINT, linestyle="--")
            axes.annotate(bound["name"], (0.99, bound["value"]), xycoords=("axes fraction", "data"), va="top", ha="right", **TEXT)
        published = learned[learned["published"].notna()]
        axes.vlines(published[column], published["published"], published["value"], color=FAINT, lw=1.2)
        axes.scatter(published[column], published["published"], facecolors="none", edgecolors=ORANGE, s=22, zorder=3)
        axes.scatter(learned[column], learned["value"], color=BLUE, s=22, zorder=4)
        _logarithmic(axes)
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
        plain(axes)
        axes.grid(axis="x", color=FAINT, lw=0.7)
        shown = rows[rows[column] > 0] if column != "value" else rows
        axes.hlines(shown.index, 0, 1, transform=axes.get_yaxis_transform(), color=FAINT, lw=0.5)
        axes.scatter(shown[column], shown.index, color=BLUE, s=24, zorder=4, label="ours")
        axes.set_xlabel(words, **TEXT)
        if column != "value" and len(shown):
            axes.set_xscale("log")
            # The panel is narrow: its ends are all that it has room for.
            axes.set_xticks([shown[column].min(), shown[column].max()])
            axes.xaxis.set_major_formatter(EngFormatter(sep="", places=0))
            axes.xaxis.set_minor_locator(NullLocator())
    if rows["published"].notna().any():
        panels[0].scatter(rows["published"], rows.index, facecolors="none", edgecolors=ORANGE, s=24, zorder=3, label="published")
        panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    panels[0].set_yticks(range(len(rows)), rows["name"], fontsize=8)
    panels[0].tick_params(axis="y", length=0)
    return figure


def compared(histories: Mapping[str, pd.DataFrame], metric: str, label: str, seen: Collection[str] = ()) -> Figure:
    """Learning curves of several experiments: the training loss on the left, the validation `metric` on the right, first seeds.

    `label`: the metric's name; `seen`: those that were trained on validation as well, drawn as dots.
    """
    figure = Figure((8, 2.9), SHARP, layout="constrained")
    panels = figure.subplots(1, 2)
    for index, (name, history) in enumerate(histories.items()):
        rows = history[history["seed"] == history["seed"].iloc[0]]
        for axes, column in zip(panels, ("train_loss", f"val_{metric}")):
            style = ":" if name in seen else "-"
            axes.plot(rows["epoch"], rows[column], color=LINES[index % len(LINES)], linestyle=style, lw=1.6, label=name)
    for axes, title in zip(panels, ("Training loss", f"Validation {label[0].lower()}{label[1:]}")):
        plain(axes)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("epoch", **TEXT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="y", color=FAINT, lw=0.7)
    # Losses of other kinds, such as the hinge loss, are tens of times as large: on a linear axis they flatten the others.
    losses = [float(history["train_loss"].iloc[-1]) for history in histories.values()]
    if min(losses) > 0 and max(losses) > WIDE * min(losses):
        panels[0].set_yscale("log")
    panels[1].legend(frameon=False, labelcolor=INK, fontsize=8)
    return figure


def _logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with few labels: 20, 500, 10k, 2M."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
