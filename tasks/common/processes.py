"""Programs that we start, and end with everything that they started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tasks.common.files import write_json

ROOT = Path(__file__).resolve().parents[2]


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


class Watched:
    """Programs that end with this process, however it ends. `path` lists them, for a watcher, and for the next start of ours.

    The watcher is a process of its own, which waits for the end of a pipe that this one holds: `kill -9` and all else closes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listed: list[list[float]] = []

    def __enter__(self) -> "Watched":
        end_listed(self.path)
        command = [sys.executable, "-m", "tasks.common.processes", str(self.path.resolve())]
        # A session of its own: Ctrl-C is for this process.
        self._watcher = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def add(self, pid: int) -> None:
        self._listed.append([pid, born(pid)])
        write_json(self.path, self._listed)

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
        assert self._watcher.stdin
        self._watcher.stdin.close()
        self._watcher.wait()


def end_listed(path: Path) -> None:
    """End the programs that `path` lists, where they are alive, and remove it."""
    if not path.exists():
        return
    left = []
    for pid, start in json.loads(path.read_text(encoding="utf-8")):
        with suppress(psutil.NoSuchProcess):
            if born(pid) == start:
                left.append(psutil.Process(pid))
                print(f"ending process {pid} of an earlier start: {' '.join(left[-1].cmdline())[:100]}", flush=True)
    end(left)
    path.unlink(missing_ok=True)


def born(pid: int) -> float:
    """When the process started, since another one may get its number; 0 where there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


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


if __name__ == "__main__":
    sys.stdin.read()
    # Nobody may read any more what is printed.
    with open(os.devnull, "w", encoding="utf-8") as sys.stdout:
        end_listed(Path(sys.argv[1]))
