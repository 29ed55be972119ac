"""Locks between processes, which the system takes back when their holder dies."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from tasks.common.errors import Error


@contextmanager
def alone(path: Path, message: str) -> Iterator[None]:
    """Hold the lock file `path` as long as the block.

    Raises Error at once where another process holds it: `message`, which says what to do, and the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        found = holder(path)
        raise Error(f"{message} ({path} is held{f' by {found}' if found else ''})") from None
    try:
        yield
    finally:
        lock.release()


def holder(path: Path) -> str | None:
    """The process that has the file open, with its command line; None where there is none, or where it is another user's."""
    wanted = str(path.resolve())
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if any(file.path == wanted for file in process.open_files()):
                command = " ".join(shlex.join(process.cmdline()).split())
                return f"process {process.pid}: {command[:200]}"
    return None
