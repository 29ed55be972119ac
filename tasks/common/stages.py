"""The stages of a profile as DVC runs them: one `dvc repro`, cut into its stages by what it prints."""

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tasks.common import processes
from tasks.common.errors import Error
from tasks.common.locks import holder

FILE = "dvc.yaml"
# What writes its lock file a stage at a time.
DVC = Path(__file__).with_name("quick_dvc.py")
# Lines that an error shows.
KEPT = 20
# What DVC says when it comes to a stage, by what it does with it. A name may have a file's in front of it.
BEGINS = {
    "ran": re.compile(r"Running stage '(?:[^']*:)?([^':]+)':"),
    "unchanged": re.compile(r"Stage '(?:[^']*:)?([^':]+)' didn't change, skipping"),
    "cached": re.compile(r"Stage '(?:[^']*:)?([^':]+)' is cached - skipping run, checking out outputs"),
}
FAILED = re.compile(r"ERROR: failed to reproduce '(?:[^']*:)?([^':]+)'")
BUSY = re.compile(r"ERROR: .*(Unable to acquire lock|is busy, it is being blocked by)")
BLOCKER = re.compile(r"\(PID (\d+)\): (.*)")


class Busy(Error):
    """Another process works in the project: trying again at once is of no use."""


class Stage(NamedTuple):
    """What DVC has come to: `outcome` is `ran`, `unchanged`, `cached` (its outputs are fetched), or `failed` before it began."""

    name: str
    outcome: str
    line: str


class Reproduction:
    """A `dvc repro` of a profile's folder, which runs as long as the block.

    Iterating gives the stages' names as DVC comes to them; each is then followed to its end with `follow`. `environment`: DVC's and
    the stages', whose `python` is ours by default.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self.environment = dict(environment or os.environ | {"PATH": path}) | {"PYTHONUNBUFFERED": "1"}
        self._running = ExitStack()
        self._lines: Iterator[str] = iter(())
        self._last: deque[str] = deque(maxlen=KEPT)
        self._stage: Stage | None = None  # the one that DVC has come to

    def __enter__(self) -> "Reproduction":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def __iter__(self) -> Iterator[str]:
        """Raises Error where DVC fails outside a stage, and Busy where another process works in the project."""
        self._read()
        while self._stage:
            yield self._stage.name
        self._check("")

    def follow(self, name: str, on_line: Callable[[str], None]) -> Stage:
        """Give each line of the stage's output to `on_line`, and return the stage at its end.

        Where DVC has ended, since the stage had failed, it starts again. Raises Error with the last lines where it fails, and Busy.
        """
        if self._stage is None:
            self._start()
            self._read()
            while self._stage and self._stage.name != name:
                self._read()
            if self._stage is None:
                self._check(name)
        stage = self._stage
        assert stage is not None
        on_line(stage.line)
        self._read(on_line)
        if self._stage is None:
            self._check(name)
        return stage

    def _start(self) -> None:
        self._running.close()
        command = [sys.executable, "-I", str(DVC), "repro", FILE]
        self._process = self._running.enter_context(processes.running(command, self.folder, self.environment))
        assert self._process.stdout is not None
        self._lines = filter(None, map(str.rstrip, self._process.stdout))

    def _read(self, on_line: Callable[[str], None] = lambda line: None) -> None:
        """Hand on lines until DVC comes to the next stage, or ends."""
        self._last.clear()
        if self._stage:
            self._last.append(self._stage.line)
        before = self._stage.name if self._stage else None
        for line in self._lines:
            if (found := _begins(line)) and not (found.outcome == "failed" and found.name == before):
                self._stage = found
                return
            self._last.append(line)
            on_line(line)
        self._stage = None

    def _check(self, name: str) -> None:
        """Wait for DVC's end. Raises Error where it failed, with the stage's name or the file's, and with the last lines."""
        if self._process.wait() == 0:
            return
        text = "\n".join(self._last)
        if BUSY.search(text):
            blocker = BLOCKER.search(text)
            found = f"process {blocker[1]}: {blocker[2].strip()}" if blocker else self._holder()
            raise Busy(f"another DVC process works in this project ({found}); wait for its end, or stop it")
        raise Error((f"stage {name} failed:\n" if name else f"{self.folder / FILE}: ") + text)

    def _holder(self) -> str:
        locks = (folder / ".dvc" / "tmp" / "lock" for folder in (self.folder, *self.folder.parents))
        return next((found for lock in locks if lock.exists() and (found := holder(lock))), "which one, it does not say")


def _begins(line: str) -> Stage | None:
    for outcome, pattern in BEGINS.items():
        if match := pattern.fullmatch(line):
            return Stage(match[1], outcome, line)
    match = FAILED.match(line)
    return Stage(match[1], "failed", line) if match else None
