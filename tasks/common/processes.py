"""Programs that we start, and end with everything that they started."""

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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


def stream(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Callable[[str], None], keep: int = 20
) -> tuple[int, list[str]]:
    """Run a command, giving each line of its output to `on_line`. Returns its exit code and its last lines.

    Whatever ends this function ends the command and all that it started.
    """
    last: deque[str] = deque(maxlen=keep)
    process = subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line := line.rstrip():
                last.append(line)
                on_line(line)
        return process.wait(), list(last)
    finally:
        stop(process)
        if process.stdout:
            process.stdout.close()
