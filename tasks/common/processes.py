"""Programs that we start, and end with everything that they started."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


def stop(process: subprocess.Popen[str], patience: float = 15) -> None:
    """Ask a process and its descendants to end, then end what is left of them after `patience` seconds.

    All are asked: a descendant may have something to say at its end, such as a flow that its run is over.
    """
    try:
        root = psutil.Process(process.pid)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for each in reversed(tree):
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, alive = psutil.wait_procs(tree, patience)
    # Those that started something after the first look are still there to say so.
    for left in tree + [child for p in alive for child in p.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            left.kill()
    process.wait()


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
