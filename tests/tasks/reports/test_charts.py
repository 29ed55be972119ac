"""Where a chart's lines, ticks and names stand."""

import itertools

import pytest

from tasks.reports import charts
from tasks.reports.charts import BOTTOM, HEIGHT, LEFT, ROW, TOP, WIDTH, Chart, Line


def places(drawn: charts.Drawing, index: int = 0) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in drawn.paths[index].points.split())]


def test_points_stand_where_their_values_say() -> None:
    drawn = charts.draw(Chart("t", "x", [Line("one", [(0, 0), (1, 10), (4, 5)], "red")]))
    (left, low), (near, high), (right, middle) = places(drawn)
    assert (left, right) == pytest.approx((LEFT, drawn.right), abs=0.1)
    assert near - left == pytest.approx((right - left) / 4, abs=0.1), "a quarter of the way across"
    assert middle == pytest.approx((low + high) / 2, abs=0.1), "half of the way up"
    assert TOP < high < low < HEIGHT - BOTTOM
    # A tick stands as high as a point of its value.
    assert {tick.text: tick.place for tick in drawn.ticks}["10"] == high


def test_equal_ratios_are_equal_ways_on_a_logarithmic_axis() -> None:
    drawn = charts.draw(Chart("t", "x", [Line("one", [(0, 0.0), (1, 1), (2, 100), (3, 1e4)], "red")], logarithmic=True))
    _, ys = zip(*places(drawn))
    assert len(ys) == 3, "zero has no place"
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.15)
    assert {tick.text for tick in drawn.ticks} >= {"1", "100", "10k"}


def test_names_stand_at_the_ends_of_their_lines_and_apart() -> None:
    lines = [Line(f"line {i}", [(0, 0), (1, end)], "red") for i, end in enumerate([1.0, 0.0, 1.0, 0.99, 0.0])]
    drawn = charts.draw(Chart("t", "x", [*lines, Line("", [(0, 0.5), (1, 0.5)], "blue", "2 3")]))
    heights = [path.height for path in drawn.paths[:5]]
    order = sorted(heights)
    assert all(below - above >= ROW - 0.1 for above, below in itertools.pairwise(order))
    assert all(TOP - ROW < height <= HEIGHT - BOTTOM for height in heights)
    assert max(heights[0], heights[2], heights[3]) < min(heights[1], heights[4]), "high lines have high names"
    assert drawn.right + charts.NAMES + charts.LETTER * len("line 0") <= WIDTH


def test_of_many_points_both_ends_are_kept() -> None:
    drawn = charts.draw(Chart("t", "x", [Line("one", [(i, i % 7) for i in range(5000)], "red")]))
    points = places(drawn)
    assert len(points) == charts.POINTS
    assert (points[0][0], points[-1][0]) == pytest.approx((LEFT, drawn.right), abs=0.1)


def test_one_value_has_a_place() -> None:
    drawn = charts.draw(Chart("t", "x", [Line("one", [(0, 3.0), (1, 3.0)], "red")]))
    assert TOP < places(drawn)[0][1] < HEIGHT - BOTTOM


def test_a_chart_without_a_point_is_refused() -> None:
    with pytest.raises(ValueError, match="'t' has no point"):
        charts.draw(Chart("t", "x", [Line("one", [(0, float("nan"))], "red")]))
