"""The kinds of task: a folder each, found by its name.

A kind's folder holds

    __init__.py    light facts: `Prepare`, `Recipe`, `METRICS`, `FIGURES`, `check` (nothing heavier than pydantic is imported)
    prepare.py     from records to arrays: what `preprocess` writes (`layout`, `convert`)
    data.py        from arrays to tensors by name (`examples`), and the networks' shape (`shape`)
    objective.py   `Objective`: batches, a step on each, validation; what the training loop is given
    measure.py     `measure`: numbers on test; `write`: tables and figures
    use.py         `answer`: what a network's outputs mean to those who use it; and what else can be done with it
    section.html.j2   what the report's section adds (optional)

No list names the kinds: a new folder is a new kind.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from tasks.common.errors import Error

PARTS = ("prepare", "data", "objective", "measure", "use")
FACTS = ("Prepare", "Recipe", "METRICS", "FIGURES", "check")
Part = Literal["prepare", "data", "objective", "measure", "use"]


class Metric(NamedTuple):
    """How a number is called and printed: `value * factor` with `decimals` and a unit.

    `headline`: whether it stands in the report's summary. The first metric of a kind is its headline, its curve, its bar and its order.
    `tolerance`: by how much a rebuild on another processor may differ (`tasks.verify`); None for the usual one of its unit.
    """

    name: str
    label: str
    factor: float = 1
    decimals: int = 4
    unit: str = ""
    less_is_better: bool = False
    headline: bool = False
    tolerance: float | None = None

    def allowed(self, value: float) -> float:
        """By how much another run may differ from `value`: 0.02 of a share, 0.3 dB, 3 % of anything else."""
        if self.tolerance is not None:
            return self.tolerance
        return 0.02 if self.unit == "%" else 0.3 if self.unit == "dB" else 0.03 * abs(value)

    def text(self, value: float) -> str:
        """The value as it is printed, without its unit."""
        return f"{value * self.factor:.{self.decimals}f}"


class Figure(NamedTuple):
    """A figure that `measure.write` may write, with its caption; `pixels`: a picture of pixels, not of lines."""

    file: str
    caption: str
    pixels: bool = False


# What every training has, whatever its kind.
LOSS = Metric("loss", "Loss", less_is_better=True)
COMMON_FIGURES = (
    Figure("progress.webp", "A few validation images after each epoch.", True),
    Figure("curves.png", "Learning curves, a line a seed."),
)


@cache
def names() -> tuple[str, ...]:
    """The kinds that there are: the folders beside this file."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


@cache
def find(name: str) -> Any:
    """The facts of a kind. Raises Error for an unknown one, and for a folder that lacks a part."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Error(f"unknown kind of task {name!r}; {hint}allowed: {', '.join(names())}")
    folder = Path(__path__[0]) / name
    for part in PARTS:
        if not (folder / f"{part}.py").is_file():
            raise Error(f"{folder}: lacks {part}.py; a kind has {', '.join(f'{p}.py' for p in PARTS)} (see CONTRIBUTING)")
    module = importlib.import_module(f"{__name__}.{name}")
    for fact in FACTS:
        if not hasattr(module, fact):
            raise Error(f"{folder / '__init__.py'}: lacks {fact}; a kind says {', '.join(FACTS)} (see CONTRIBUTING)")
    return module


def check() -> None:
    """Raises Error for a folder that lacks a part."""
    for name in names():
        find(name)


def part(name: str, which: Part) -> Any:
    """A part of a kind, which is imported when it is asked for."""
    find(name)
    return importlib.import_module(f"{__name__}.{name}.{which}")


def every() -> list[ModuleType]:
    """The facts of all kinds, in the order of their names; a folder that lacks a part is left to `check`, which names it."""
    found = []
    for name in names():
        with suppress(Error):
            found.append(find(name))
    return found


def metrics(name: str) -> dict[str, Metric]:
    """The metrics of a kind by their names, `loss` last. Raises Error for an unknown kind."""
    return {metric.name: metric for metric in (*find(name).METRICS, LOSS)}


def all_metrics() -> dict[str, Metric]:
    """The metrics of all kinds by their names, in their kinds' order; of a name that two kinds have the first declaration counts."""
    found: dict[str, Metric] = {}
    for kind in every():
        for metric in kind.METRICS:
            found.setdefault(metric.name, metric)
    return {**found, LOSS.name: LOSS}


def main_metric(name: str) -> str:
    """The metric by which results of a kind are ordered and drawn."""
    first: Metric = find(name).METRICS[0]
    return first.name


def falling(name: str) -> frozenset[str]:
    """The metrics of a kind of which less is better."""
    return frozenset(metric.name for metric in metrics(name).values() if metric.less_is_better)


def check_metric(kind: str, metric: str, key: str, others: Iterable[str] = ()) -> None:
    """Raises ValueError, naming the key, for a metric that the kind does not declare. `others`: what else may stand there."""
    known = [*metrics(kind), *others]
    if metric not in known:
        near = difflib.get_close_matches(metric, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{key}: {metric!r} is no metric of {kind}; {hint}allowed: {', '.join(known)}")


def check_measured(kind: str, measured: Iterable[str]) -> None:
    """Raises Error where `measure` returned a metric that its kind does not declare."""
    if unknown := sorted({*measured} - {*metrics(kind)}):
        raise Error(
            f"tasks/kinds/{kind}/measure.py measures {', '.join(unknown)}, which METRICS in its __init__.py does not declare"
        )
