"""A warm start: a parent that has imported what steps need forks a child a step, on Linux.

A fresh process spends six seconds on imports. `python -m tasks.common.warm COMMAND...` runs a command, such as `dvc repro`, in whose
stages `python -m tasks.X` becomes a child of the parent. A step gives the same bytes either way:

- The parent imports libraries alone; our own files are imported by each child, as they are then.
- It takes a step only where the environment, the processors and the interpreter are those that it started with, since libraries read
  them when they are imported. What a shell and DVC change for each stage is allowed to differ, and the child gets the step's own.
- It starts no thread and no GPU before it forks. BLAS, which would, gets its threads back in the child.
- What it does not take, and what it is not there for, runs in a fresh process.
"""

import gc
import importlib
import io
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.common.cli import QUIET, leave
from tasks.common.processors import processors

ROOT = Path(__file__).resolve().parents[2]
# Seconds without a step after which the parent ends.
IDLE = 60.0
# A file beside the socket once the libraries are imported. Until then `bin/python` runs light steps in fresh processes, which take a second.
WARM = "warm"
# A file that `bin/python` leaves there when the first light step comes, so that the parent begins to import. Without any step it never does.
WANTED = "wanted"
LIBRARIES = (
    "torch", "torch._dynamo", "torchvision", "cv2", "pandas", "pyarrow.parquet", "scipy.special", "sklearn.metrics", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "safetensors.torch", "typer", "rich.progress", "jinja2", "psutil", "filelock",
    "mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.pyfunc",
)  # fmt: skip
# Variables that a shell changes from stage to stage (those of DVC begin with DVC_), and one that each child heeds.
VARYING = ("PWD", "OLDPWD", "SHLVL", "_", "PYTHONUNBUFFERED")
# Libraries that start threads when they are imported, unless told not to.
SINGLE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


@contextmanager
def serving(root: Path) -> Iterator[dict[str, str]]:
    """A parent as long as the block. Yields the environment of the programs that use it, which is ours where there is none.

    DARKROOM_WARM=0 does without.
    """
    if sys.platform != "linux" or os.environ.get("DARKROOM_WARM") == "0" or not (shim := ROOT / "bin" / "python").exists():
        yield dict(os.environ)
        return
    above = root / "runs" / "warm"
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=above))  # which nobody else may enter
    path = os.pathsep.join([str(shim.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PATH": path, "DARKROOM_WARM": str(folder), "DARKROOM_PYTHON": sys.executable}
    listener = _listen(folder)
    # A session of its own: Ctrl-C reaches the steps by way of their clients.
    parent = subprocess.Popen(
        [sys.executable, "-m", "tasks.common.warm", "--serve", str(listener.fileno())],
        cwd=ROOT, env=environment, pass_fds=[listener.fileno()], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    listener.close()
    try:
        yield environment
    finally:
        parent.terminate()
        parent.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listen(folder: Path) -> socket.socket:
    """A socket in the folder that its owner alone may use. Its name is seen from the folder, since a whole one may be too long."""
    before, umask = os.getcwd(), os.umask(0o177)
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.chdir(folder)
        listener.bind("socket")
    finally:
        os.chdir(before)
        os.umask(umask)
    listener.listen()
    return listener


class Parent:
    """Takes steps from a socket until none has come for `idle` seconds, or its own code or the packages have changed."""

    def __init__(self, listener: socket.socket, idle: float = IDLE, libraries: Sequence[str] = LIBRARIES) -> None:
        self.listener, self.idle, self.libraries = listener, idle, libraries
        self.environment = _lasting(os.environ)
        self.affinity = sorted(os.sched_getaffinity(0))
        self.interpreter = [sys.version, os.path.realpath(sys.executable)]
        self.files = _files()
        self.handlers: set[int] = set()

    def serve(self) -> None:
        """Import the libraries once a step comes, and then take steps."""
        folder = Path(self.environment["DARKROOM_WARM"])
        give_up = time.monotonic() + self.idle
        while not (folder / WANTED).exists() and not select.select([self.listener], [], [], 0.1)[0]:
            if time.monotonic() > give_up:
                return
        _warm_up(self.libraries)
        (folder / WARM).touch()
        while True:
            ready, _, _ = select.select([self.listener], [], [], self.idle)
            self._reap()
            if ready:
                client, _ = self.listener.accept()
                with client:
                    self._take(client)
            elif not self.handlers:
                return
            if self.files != _files():
                return

    def _reap(self) -> None:
        for pid in list(self.handlers):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.handlers.discard(pid)

    def _take(self, client: socket.socket) -> None:
        """Fork what runs the step, or tell its client to run it afresh."""
        with suppress(Exception):  # a client that died, or one that is none of ours
            client.settimeout(10)
            if struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1] != os.getuid():
                return
            head, descriptors, _, _ = socket.recv_fds(client, 8, 3)
            try:
                content = client.makefile("rb").read(struct.unpack("Q", head)[0])
                request = json.loads(content.decode("utf-8", "surrogateescape"))
                client.settimeout(None)
                if len(descriptors) != 3 or not self._fits(request):
                    client.sendall(b"0")
                elif pid := os.fork():
                    self.handlers.add(pid)
                else:
                    try:
                        self.listener.close()
                        _handle(client, descriptors, request)
                    finally:
                        os._exit(1)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _fits(self, request: dict[str, Any]) -> bool:
        """Whether a child of ours is what a fresh process would be."""
        same = _lasting(request["environment"]) == self.environment and request["interpreter"] == self.interpreter
        if not same or request["affinity"] != self.affinity or self.files != _files():
            return False
        return threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key not in VARYING and not key.startswith("DVC_")}


def _files() -> list[tuple[str, int]]:
    """When our own code and the installed packages changed last."""
    places = [
        Path(__file__),
        Path(__file__).with_name("warm_client.py"),
        *(Path(p) for p in sys.path if p.endswith("site-packages")),
    ]
    return [(str(place), place.stat().st_mtime_ns) for place in places if place.exists()]


def _warm_up(libraries: Sequence[str]) -> None:
    """Import libraries as the steps do, and forget what of ours told how. Each child gets its own environment again."""
    os.environ.update(SINGLE)
    from tasks.learning.tracking import SETTINGS

    for key, value in (QUIET | SETTINGS).items():
        os.environ.setdefault(key, value)
    # It starts a thread, and MLflow, which needs none of it, imports it where it can.
    sys.modules["polars"] = None  # type: ignore[assignment]
    for library in ("threadpoolctl", *libraries):
        with suppress(ImportError):
            importlib.import_module(library)
    del sys.modules["polars"]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tasks", "models", "apps", "flows")]:
        if name != __name__:
            del sys.modules[name]
    gc.collect()
    gc.freeze()


def _handle(client: socket.socket, descriptors: Sequence[int], request: dict[str, Any]) -> None:
    """In a process of its own: run the step in a child, pass signals on to it, and say how it ended. A client's death ends the step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client.sendall(b"1")
    if (step := os.fork()) == 0:
        client.close()
        _run(descriptors, request)
    for descriptor in descriptors:
        os.close(descriptor)
    ended = os.pidfd_open(step)
    while ended not in _ready(client, ended):
        numbers = b""
        with suppress(ConnectionError):
            numbers = client.recv(64)
        for number in numbers:
            os.kill(step, number)
        if not numbers:
            os.kill(step, signal.SIGKILL)
            break
    code = os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])
    client.sendall(struct.pack("i", code))


def _ready(client: socket.socket, ended: int) -> list[Any]:
    sources: list[Any] = [client, ended]
    return select.select(sources, [], [])[0]


def _run(descriptors: Sequence[int], request: dict[str, Any]) -> None:
    """In the step's process: be as a fresh one, and run the step."""
    code: Any = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setpgid(0, 0)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.umask(request["umask"])
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        _streams()
        _seeds()
        _threads(request)
        _, module, *arguments = request["arguments"]
        sys.path[0] = request["folder"]
        sys.path_importer_cache.clear()
        for name in [name for name in sys.modules if name.partition(".")[0] == "tasks"]:
            del sys.modules[name]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def _streams() -> None:
    """Streams on the step's descriptors, buffered as Python does it."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))  # type: ignore[misc]
    for number, old in ((1, sys.stdout), (2, sys.stderr)):
        raw: Any = io.FileIO(number, "w", closefd=False)
        lines = number == 2 or os.isatty(number)
        new = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw),
            old.encoding,
            old.errors,
            line_buffering=lines,
            write_through=unbuffered,
        )
        name = ("stdout", "stderr")[number - 1]
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _seeds() -> None:
    """Random numbers that nobody seeds differ from process to process."""
    random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def _threads(request: dict[str, Any]) -> None:
    """BLAS computes with as many threads as in a fresh process."""
    if threadpoolctl := sys.modules.get("threadpoolctl"):
        threadpoolctl.threadpool_limits(_blas_threads(request), user_api="blas")


def _blas_threads(request: dict[str, Any]) -> int:
    names = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
    asked = (request["environment"].get(name, "") for name in names)
    return next((int(number) for number in asked if number.isdigit() and int(number)), len(request["affinity"]))


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--serve"]:
        Parent(socket.socket(fileno=int(arguments[1]))).serve()
        return 0
    if (jobs := os.environ.get("DARKROOM_JOBS", "")).isdigit() and int(jobs) > 1:
        # Stages that run beside each other share the processors.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, processors() // int(jobs))))
    with serving(ROOT) as environment:
        return subprocess.call(arguments, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
