"""The curves that the report draws of the tables that git keeps, where the figures themselves are elsewhere."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.imaging.figures import INK
from tasks.kinds import Figure
from tasks.kinds.compress.figures import COLOURS, MOST, PUBLISHED
from tasks.reports import charts
from tasks.reports.charts import Chart, Line
from tasks.reports.overview import LINES

# Data sets whose test photographs are Kodak's, of which others have published numbers.
KODAK = ("kodak", "wider-kodak")
# The rank correlation from which on a saliency map is not of the network (`tasks.inside.sanity`, which needs torch).
PASSES = 0.3
DASHES = ("2 3", "7 3 2 3", "7 4")
ATTACKS = {"fgsm": "Accuracy under FGSM", "pgd": "Accuracy under PGD", "pgd_l2": "Accuracy under PGD in l2"}
BUDGET = "budget, levels of 255"

Draw = Callable[[pd.DataFrame, str], list[Chart]]


def rates(table: pd.DataFrame, dataset: str) -> list[Chart]:
    """PSNR and MS-SSIM against bits a pixel, a line a codec; on Kodak with what others have published."""
    near = table[table["bpp"] <= max(MOST, table["bpp"].min())].sort_values("bpp")
    found = []
    for column, title in (("psnr", "PSNR (dB)"), ("ms_ssim", "MS-SSIM")):
        lines = [
            Line(codec, points(near[near["codec"] == codec], "bpp", column), colour)
            for codec, colour in COLOURS.items()
            if codec in {*near["codec"]}
        ]
        if column == "psnr" and dataset in KODAK:
            lines += [Line(name, known, INK, dashes) for dashes, (name, known) in zip(DASHES, PUBLISHED.items())]
        found.append(Chart(title, "bits a pixel", lines))
    return found


def salience(table: pd.DataFrame, _: str) -> list[Chart]:
    """The class's probability against the share of pixels that came or went, a line a method."""
    return [Chart(f"Probability, {what}", "share of pixels", _groups(table, "method", "share", what)) for what in ("insertion", "deletion")]  # fmt: skip


def sanity(table: pd.DataFrame, _: str) -> list[Chart]:
    """Rank correlation with the trained network's map against how many layers are re-drawn, and what fails; of none it is one."""
    lines = [line._replace(points=[(0, 1), *line.points]) for line in _groups(table, "method", "redrawn", "correlation")]
    fails = Line("fails from here on", [(0, PASSES), (table["redrawn"].max(), PASSES)], INK, DASHES[0])
    return [Chart("Rank correlation with the trained network's map", "layers re-drawn, from the last", [*lines, fails])]


def ascent(table: pd.DataFrame, _: str) -> list[Chart]:
    """The probability of each class against steps of the ascent: in the network, and dashed in the other one."""
    found = []
    for prior, rows in table.groupby("prior", sort=False):
        there = _groups(rows, "class", "step", "probability")
        other = [line._replace(label="", dashes=DASHES[2]) for line in _groups(rows, "class", "step", "transfer")]
        found.append(Chart(f"Probability, {prior}", "step", [*there, *other]))
    return found


def objective(table: pd.DataFrame, _: str) -> list[Chart]:
    """The objective of each way to descend against steps, and the two losses that it is made of under Adam."""
    # A coarser scale's losses are those of another picture.
    finest = table[table["scale"] == table.groupby("way")["scale"].transform("max")]
    adam = finest[finest["way"] == "Adam"]
    parts = [Line(part, points(adam, "step", part), colour) for part, colour in zip(("content", "style"), LINES)]
    return [
        Chart("Objective", "step", _groups(finest, "way", "step", "total"), logarithmic=True),
        Chart("Content and style, Adam", "step", parts, logarithmic=True),
    ]


def ways(table: pd.DataFrame, _: str) -> list[Chart]:
    """How far a picture moves at each step from one sample to another: through noise, and through styles."""
    lines = [Line(f"through {space}", points(table, "step", space), colour) for space, colour in zip(("z", "w"), LINES)]
    return [Chart("Step, of the distance of the ends", "step", lines)]


def budgets(tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
    """Accuracy against the budget of each attack, a line a network; and how many are taken for their target, where that was asked."""
    found = []
    for column, title in {**ATTACKS, "reached": "Taken for the target"}.items():
        of = {name: table for name, table in tables.items() if column in table}
        lines = [Line(name, points(table, "budget", column), colour) for (name, table), colour in zip(of.items(), LINES)]
        if lines:
            found.append(Chart(title, BUDGET, lines))
    return found


# What is drawn of a kind or a study: the figure that it stands for, and the table that it is drawn of.
DRAWN: Mapping[str, Mapping[str, tuple[str, Draw]]] = {
    "compress": {"rates.png": ("rates", rates)},
    "saliency": {"curves.png": ("curves", salience), "sanity.png": ("sanity", sanity)},
    "class-visualisation": {"ascent.png": ("ascent", ascent)},
    "interpolation": {"steps.png": ("steps", ways)},
    "style": {"losses.png": ("compared", objective)},
}


def of_result(name: str, figures: Iterable[Figure], folder: Path, dataset: str) -> list[dict[str, Any]]:
    """The curves of a result of the kind or study `name`, with the captions of the figures that they stand for."""
    found = []
    for figure in figures:
        table, draw = DRAWN.get(name, {}).get(figure.file, ("", None))
        if draw and (rows := _kept(folder, figure.file, table)) is not None:
            found.append(_figure(figure.caption, draw(rows, dataset)))
    return found


def of_study(study: str, folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The curves that show a study's blocks together, each under what is left of its name without the study's."""
    if study != "adversarial":
        return []
    kept = {name.removeprefix(f"{study}-"): _kept(folder, "curve.png", "budgets") for name, folder in folders.items()}
    tables = {name: table for name, table in kept.items() if table is not None}
    return (
        [_figure("Accuracy, or the share that is taken for its target, against the budget; a line a network.", budgets(tables))]
        if tables
        else []
    )


def points(rows: pd.DataFrame, across: str, up: str) -> list[tuple[float, float]]:
    """Two columns as points."""
    return [(float(x), float(y)) for x, y in zip(rows[across], rows[up], strict=True)]


def _groups(table: pd.DataFrame, by: str, across: str, up: str) -> list[Line]:
    """A line a value of the column `by`."""
    return [
        Line(str(label), points(rows, across, up), LINES[index % len(LINES)])
        for index, (label, rows) in enumerate(table.groupby(by, sort=False))
    ]


def _kept(folder: Path, figure: str, table: str) -> pd.DataFrame | None:
    """A table, where the figure that was drawn of it is not here."""
    path = folder / "tables" / f"{table}.csv"
    return pd.read_csv(path) if path.exists() and not (folder / "plots" / figure).exists() else None


def _figure(caption: str, drawn: Iterable[Chart]) -> dict[str, Any]:
    return {"caption": caption, "charts": [charts.draw(chart) for chart in drawn]}
