"""Works of many steps on a picture: shown while they go on, stopped at any step, and gone on with later as if they had never stopped."""

import hashlib
import json
import pickle
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from tasks.common import bars
from tasks.common.files import atomic

# Seconds between two records of a work.
EVERY = 10.0


class Work(Protocol):
    """What goes on step by step. `state` is all that it needs to go on, plain values and tensors; `picture` is (N, 3, H, W) in [0, 1]."""

    done: int
    steps: int

    def advance(self) -> None: ...

    def picture(self) -> Tensor: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


def key(settings: Mapping[str, Any]) -> str:
    """What a record belongs to: the hash of all that was asked for."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def steps(work: Work) -> Iterator[int]:
    """Each step's number, once it is done."""
    while work.done < work.steps:
        work.advance()
        yield work.done


def finish(work: Work, title: str, record: Path | None = None, settings: Mapping[str, Any] | None = None) -> int:
    """Do what is left of a work, with a bar, and return at which step it began.

    `record`: a file that its state is written into now and then, and when it is interrupted. A record of the same `settings` is gone on
    with; another one is written over. It is removed at the end.
    """
    belongs = key(settings or {})
    if record and (state := _read(record, belongs)):
        work.restore(state)
    began, written = work.done, time.monotonic()
    try:
        with bars.bar(title, work.steps, began) as bar:
            for done in steps(work):
                bar.show(done)
                if record and time.monotonic() - written > EVERY:
                    _write(record, belongs, work)
                    written = time.monotonic()
    except KeyboardInterrupt:
        if record and work.done > began:
            _write(record, belongs, work)
        raise
    if record:
        record.unlink(missing_ok=True)
    return began


def _write(path: Path, belongs: str, work: Work) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        torch.save({"key": belongs, "state": work.state()}, file)


def _read(path: Path, belongs: str) -> dict[str, Any] | None:
    """The state in a record; None for one of another work, and for one that cannot be read: the work begins anew."""
    if not path.is_file():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        state: dict[str, Any] | None = found["state"] if found["key"] == belongs else None
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError):
        return None
    return state
