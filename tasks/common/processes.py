"""Programs that we start, and end with everything that they started."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def stop(process: subprocess.Popen[str], patience: float = 15) -> None:
    """Ask a process of ours and its descendants to end, then end what is left of them after `patience` seconds."""
    with suppress(psutil.NoSuchProcess):
        end([psutil.Process(process.pid)], patience)
        process.wait()


def end(roots: Sequence[psutil.Process], patience: float = 15) -> None:
    """Ask processes and their descendants to end, then end what is left of them after `patience` seconds.

    All are asked: a descendant may have something to say at its end, such as a flow that its run is over.
    """
    tree: list[psutil.Process] = []
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            tree += [*root.children(recursive=True), root]
    for each in reversed(tree):
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, alive = psutil.wait_procs(tree, patience)
    # Those that started something after the first look are still there to say so.
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            tree += process.children(recursive=True)
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def dies_with_parent() -> None:
    """For `preexec_fn`, on Linux: the system asks the new process to end when the one that started it dies, in whatever way."""
    assert LIBC
    LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def running(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command whose output, with its errors, is read by lines from `stdout`; the end of the block ends it and all that it started."""
    process = subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        yield process
    finally:
        stop(process)
        if process.stdout:
            process.stdout.close()
