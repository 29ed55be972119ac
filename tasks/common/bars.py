"""Progress on stderr: bars where it is a terminal, lines where it is a log file."""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)  # fmt: skip

Unit = Literal["steps", "bytes"]
T = TypeVar("T")


class Bar:
    """One bar of `bars`. Its methods may be called from any thread."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    @property
    def completed(self) -> float:
        return self._progress.tasks[self._task].completed

    def advance(self, steps: float = 1) -> None:
        """Add steps, or a share of one."""
        self._progress.advance(self._task, steps)

    def show(self, completed: float | None = None, total: float | None = None, words: str | None = None) -> None:
        """Set what is done, how much there is, and the text behind the bar; None leaves it as it is."""
        fields: dict[str, Any] = {} if words is None else {"words": words}
        self._progress.update(self._task, completed=completed, total=total, **fields)

    def log(self, line: str) -> None:
        """Print a line where no bar is shown."""
        if self._progress.disable:
            print(line, file=sys.stderr, flush=True)


class Bars:
    """The bars of one block, below each other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def add(self, title: str, total: float | None, completed: float = 0) -> Bar:
        """A bar of its own. `total` is None where nobody knows it yet."""
        return Bar(self._progress, self._progress.add_task(title, total=total, completed=int(completed), words=""))


@contextmanager
def bars(unit: Unit = "steps", *, transient: bool = False) -> Iterator[Bars]:
    """Several bars, shown as long as the block. `unit` `bytes` shows a size and a speed; `transient` removes the bars at the end."""
    console = Console(stderr=True)
    amount: list[ProgressColumn] = [MofNCompleteColumn()] if unit == "steps" else [DownloadColumn(), TransferSpeedColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *amount, TimeElapsedColumn(), TimeRemainingColumn()]
    words = TextColumn("{task.fields[words]}")
    with Progress(*columns, words, console=console, disable=not console.is_terminal, transient=transient) as progress:
        yield Bars(progress)


@contextmanager
def bar(title: str, total: float | None, completed: float = 0, *, unit: Unit = "steps", transient: bool = False) -> Iterator[Bar]:
    """One bar, shown as long as the block."""
    with bars(unit, transient=transient) as several:
        yield several.add(title, total, completed)


def track(items: Collection[T], title: str) -> Iterator[T]:
    """Yield the items, with a bar that moves after each."""
    with bar(title, len(items)) as shown:
        for item in items:
            yield item
            shown.advance()
