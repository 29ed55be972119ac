"""Line charts as vectors: a few kilobytes each, sharp on every screen, in the page's own ink.

Python says where everything stands, chart.html.j2 writes it as SVG.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

# Units of a chart, of which a page that is wide enough shows one a pixel.
WIDTH, HEIGHT = 440, 250
LEFT, TOP, BOTTOM = 40, 26, 36
# The height of a line's name, and the width of its average letter.
LETTER, ROW = 6.3, 13
# From the lines to their names, with a sample of each line between.
NAMES = 30
# More points are not told apart.
POINTS = 150
ROOM = 0.04


class Line(NamedTuple):
    """A line of a chart; `dashes`: the lengths of its dashes and gaps, as SVG has them. One without a label is named by another."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashes: str = ""


class Chart(NamedTuple):
    """What a chart shows. A logarithmic one leaves out what is not positive."""

    title: str
    across: str
    lines: Sequence[Line]
    logarithmic: bool = False


class Path(NamedTuple):
    """A line as it is drawn: the points of an SVG polyline, and where its name stands."""

    label: str
    points: str
    colour: str
    dashes: str
    height: float


class Tick(NamedTuple):
    """A number beside an axis."""

    place: float
    text: str


class Drawing(NamedTuple):
    """A chart with everything in its place."""

    title: str
    across: str
    right: float
    paths: Sequence[Path]
    ticks: Sequence[Tick]
    ticks_across: Sequence[Tick]


def draw(chart: Chart) -> Drawing:
    """Place a chart's lines, its ticks and its names. Raises ValueError for a chart without a point."""
    lines = [line._replace(points=_shown(line.points, chart.logarithmic)) for line in chart.lines]
    lines = [line for line in lines if line.points]
    if not lines:
        raise ValueError(f"chart {chart.title!r} has no point")
    right = WIDTH - LETTER * max(len(line.label) for line in lines) - NAMES
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    across = _Axis(min(xs), max(xs), LEFT, right, room=0)
    up = _Axis(min(ys), max(ys), HEIGHT - BOTTOM, TOP, logarithmic=chart.logarithmic)
    named = [line for line in lines if line.label]
    heights = dict(zip([line.label for line in named], spread([up.place(line.points[-1][1]) for line in named])))
    paths = [
        Path(
            line.label,
            " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in line.points),
            line.colour,
            line.dashes,
            heights.get(line.label, 0.0),
        )
        for line in lines
    ]
    return Drawing(chart.title, chart.across, right, paths, up.ticks(), across.ticks())


def spread(heights: Sequence[float]) -> list[float]:
    """Heights of names, each as near to its own as it can be: in the same order, a row apart, and inside the chart."""
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, float)[order]
    for below in range(1, len(placed)):
        placed[below] = max(placed[below], placed[below - 1] + ROW)
    ceiling = HEIGHT - BOTTOM
    for above in range(len(placed) - 1, -1, -1):
        placed[above] = ceiling = min(placed[above], ceiling)
        ceiling -= ROW
    found = np.empty_like(placed)
    found[order] = placed
    return [round(float(height), 1) for height in found]


def _shown(points: Sequence[tuple[float, float]], logarithmic: bool) -> list[tuple[float, float]]:
    """The points that can be drawn, of many an even choice with both ends."""
    there = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not logarithmic)]
    if len(there) <= POINTS:
        return there
    return [there[round(i)] for i in np.linspace(0, len(there) - 1, POINTS)]


class _Axis:
    """Values from `low` to `high` between two places, with a little room."""

    def __init__(self, low: float, high: float, first: float, last: float, room: float = ROOM, logarithmic: bool = False) -> None:
        self.logarithmic = logarithmic
        low, high = (math.log10(low), math.log10(high)) if logarithmic else (low, high)
        spare = room * (high - low) or (0 if high > low else 1)
        self.low, self.high, self.first, self.last = low - spare, high + spare, first, last

    def place(self, value: float) -> float:
        scaled = math.log10(value) if self.logarithmic else value
        return self.first + (scaled - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self) -> list[Tick]:
        """A few round numbers."""
        if self.logarithmic:
            values = LogLocator(numticks=6).tick_values(10**self.low, 10**self.high)
            inside = [value for value in values if self.low <= math.log10(value) <= self.high]
            return [Tick(round(self.place(value), 1), EngFormatter(sep="")(value)) for value in inside]
        values = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        small = 1e-9 * (self.high - self.low)
        inside = [0.0 if abs(value) < small else value for value in values if self.low - small <= value <= self.high + small]
        return [Tick(round(self.place(value), 1), f"{value:g}".replace("-", "\N{MINUS SIGN}")) for value in inside]
