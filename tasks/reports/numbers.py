"""Numbers as the page shows them: our own, and beside those that were published."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tasks.kinds import Metric


class Number(BaseModel):
    """A metric as the page shows it."""

    metric: str
    label: str
    value: float
    text: str
    unit: str
    spread: str = ""
    validation: str = ""


class Comparison(BaseModel):
    """Our value beside a published one; widths in percent of the longer bar."""

    label: str
    ours: str
    published: str
    difference: str
    better: bool
    source: str
    note: str
    width: float
    width_published: float


class Line(BaseModel):
    """A line of a table: our value of a metric, and what was published for it."""

    label: str = ""
    ours: str = ""
    published: str = ""
    difference: str = ""
    better: bool = False


def number(metric: Metric, result: Mapping[str, Any]) -> Number:
    """A metric of a result, with its spread over seeds and its value on validation where they are known."""
    value, validation = result["metrics"][metric.name], result["val_metrics"].get(metric.name)
    spread = result.get("metrics_std", {}).get(metric.name)
    return Number(
        metric=metric.name,
        label=metric.label,
        value=value,
        text=metric.text(value),
        unit=metric.unit,
        spread="" if spread is None else f"± {metric.text(spread)}",
        validation="" if validation is None else metric.text(validation),
    )


def compare(metric: Metric, published: Mapping[str, Any], result: Mapping[str, Any]) -> Comparison:
    """Our value of a metric beside a published one. What was measured on other data stands beside ours without a difference."""
    value, ours = published["value"], result["metrics"][metric.name]
    comparable = published.get("dataset") in (None, result["dataset"])
    # Of percentages the difference is in points.
    unit = " points" if metric.unit == "%" else f" {metric.unit}" if metric.unit else ""
    difference = f"{(ours - value) * metric.factor:+.{metric.decimals}f}{unit}" if comparable else ""
    # Shares are drawn on their whole scale, others against the larger one.
    longest = 1 if metric.unit == "%" or metric.name == "ssim" else max(abs(ours), abs(value)) or 1
    return Comparison(
        label=metric.label,
        ours=f"{metric.text(ours)} {metric.unit}".strip(),
        published=f"{metric.text(value)} {metric.unit}".strip(),
        difference=difference.replace("-", "\N{MINUS SIGN}"),
        better=ours <= value if metric.less_is_better else ours >= value,
        source=published["source"],
        note=published["note"] if comparable else f"{published['note']} on {published['dataset']}".strip(),
        width=round(100 * abs(ours) / longest, 2),
        width_published=round(100 * abs(value) / longest, 2),
    )


def lines(numbers: Sequence[Number], comparisons: Sequence[Comparison]) -> list[Line]:
    """Headline numbers, each beside what was published for it; below them what was published for other metrics."""
    ours = {n.label: " ".join(filter(None, (n.text, n.unit, n.spread))) for n in numbers}
    ours |= {c.label: c.ours for c in comparisons if c.label not in ours}
    found = []
    for label, value in ours.items():
        beside = [c for c in comparisons if c.label == label]
        first = [Line(label=label, ours=value)] if not beside else []
        found += first + [
            # A second publication of a metric stands below the first.
            Line(
                label="" if i else label,
                ours="" if i else value,
                published=c.published,
                difference=c.difference,
                better=c.better,
            )
            for i, c in enumerate(beside)
        ]
    return found


def duration(seconds: float) -> str:
    """A time as 42 s, 3 min 20 s or 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
