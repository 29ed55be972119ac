"""Ray on this machine, or on a cluster whose address is a parameter; nothing of it is left when the block ends."""

import logging
import os
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tasks.common.cli import QUIET
from tasks.common.errors import Error
from tasks.common.files import MACHINE
from tasks.common.processors import processors

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What asks for no GPU sees none: otherwise all trials of a sweep would share the first.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    # Ray's is 15: beside any other work, its workers would wait.
    "RAY_worker_niceness": "0",
    "RAY_gcs_server_port_wait_time_s": "120",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # ASHA's measure is not among what a trial reports.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # What Tune keeps for a restoration is not needed.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_THRESHOLD_S": "60",
}
# What Ray does by default on other systems than Linux: it listens on loopback alone.
LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
CODE = Path(__file__).resolve().parents[2]
PREFIX = "darkroom-"
# Bytes of a Unix socket's name, at most (Linux has four more), and of what Ray puts behind its folder to make one.
SOCKET = 103
SESSION = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
# Seconds for Ray to start in.
PATIENCE = 300.0


@contextmanager
def connected(address: str | None, objects: int, cpus: int | None = None) -> Iterator[dict[str, float]]:
    """Ray for as long as the block: the cluster at `address` (HOST:PORT), or one on this machine. Yields its `cpu` and `gpu`.

    `objects`: bytes of the store of what is handed on, and `cpus`: processors, all by default, of the one on this machine. That one
    listens on loopback alone, and asks for a token that this process made. Machines of a cluster get the project's code, and need no
    files of ours for it; of its token they and this process know by Ray's own settings (`RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH`).

    Raises Error where there is no cluster at the address, or one without a token, and where Ray does not start.
    """
    settings = QUIET | SETTINGS | ({} if address else LOCAL | {"RAY_AUTH_TOKEN": _token()})
    if address and not _has_token():
        raise Error(
            "ray.address: whoever reaches a cluster without a token can run programs on it; make one (ray get-auth-token --generate), "
            "start the cluster with RAY_AUTH_MODE=token, and copy ~/.ray/auth_token here; RAY_AUTH_MODE=disabled does without"
        )
    # Ray's processes on this machine find the project's code where we did.
    path = os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])
    with _environment(settings, PYTHONPATH=path), _folder() as folder, warnings.catch_warnings():
        # Ray's own: files it leaves to the collector, settings that it is about to change.
        warnings.simplefilter("ignore")
        # Ray takes seconds to import.
        import ray
        from ray._private import ray_constants

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        logging.getLogger("ray").setLevel(logging.ERROR)
        before = ray_constants.ENABLE_RAY_CLUSTER
        try:
            # Ray reads the setting when it is imported, which may have been long ago.
            ray_constants.ENABLE_RAY_CLUSTER = bool(address)
            if address:
                _join(address, folder, quiet)
            else:
                _start(folder, quiet, num_cpus=cpus or processors(), include_dashboard=False, object_store_memory=objects)
            found = ray.cluster_resources()
            yield {"cpu": found.get("CPU", 0.0), "gpu": found.get("GPU", 0.0)}
        finally:
            _end(folder)
            ray_constants.ENABLE_RAY_CLUSTER = before


def _join(address: str, folder: Path, quiet: Mapping[str, Any]) -> None:
    """Connect to a cluster, and give it the project's code, which is copied into `folder`."""
    import ray

    for package in ("models", "tasks"):
        shutil.copytree(CODE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    try:
        ray.init(address=address, runtime_env={"working_dir": str(folder)}, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise Error(
            f"ray.address: {address}: no cluster answers there that this machine can use ({str(error).splitlines()[0]}); "
            "run the command on one of its machines, or set it to null"
        ) from None


def _start(folder: Path, quiet: Mapping[str, Any], **options: Any) -> None:
    """Start Ray here. It gives its own processes 30 seconds, which on a busy machine are too few: it is then started again."""
    import ray

    end = time.monotonic() + PATIENCE
    while True:
        try:
            ray.init(address="local", _temp_dir=str(folder), **options, **quiet)
            return
        except Exception as error:
            passes = isinstance(error, TimeoutError) or not isinstance(error, OSError | ValueError | TypeError)
            if not passes or time.monotonic() > end:
                raise Error(f"Ray does not start on this machine: {error}") from error
        _end(folder)


@cache
def _token() -> str:
    """Ray reads it once a process."""
    return os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)


def _has_token() -> bool:
    """Whether Ray will find a token for a cluster, or the user does without."""
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return os.environ.get("RAY_AUTH_MODE") == "disabled" or bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(kept).exists()


@contextmanager
def _folder() -> Iterator[Path]:
    """A private folder for Ray, in which it may put sockets, that is removed with the block.

    It stands in the temporary folder of the user's, or where that one's name is too long in the system's. What killed processes of
    ours left there is removed. Raises Error where both are too long, or cannot be written to.
    """
    name = f"{PREFIX}{MACHINE}-{os.getpid()}"
    parents = [Path(tempfile.gettempdir()), Path("/tmp")]
    for parent in parents:
        if len(os.fsencode(parent.resolve() / name)) + SESSION <= SOCKET and os.access(parent, os.W_OK):
            break
    else:
        raise Error(f"Ray needs a folder with a short name, and neither of {', '.join(map(str, parents))} will do; set TMPDIR")
    _sweep(parent)
    folder = parent / name
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what processes of this machine that are no longer alive left."""
    for path in parent.glob(f"{PREFIX}{MACHINE}-*"):
        number = path.name.rpartition("-")[2]
        if number.isdigit() and (int(number) == os.getpid() or not psutil.pid_exists(int(number))):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _environment(defaults: Mapping[str, str], **values: str) -> Iterator[None]:
    """Variables for the block: `defaults` where the user has set none, and `values`."""
    before = dict(os.environ)
    os.environ.update({**defaults, **before, **values})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ours(folder: Path) -> list[psutil.Process]:
    """What Ray started for us."""
    return [child for child in psutil.Process().children(recursive=True) if any(str(folder) in part for part in _command(child))]


def _end(folder: Path) -> None:
    """End what Ray started here, where it does not do so itself."""
    import ray

    ray.shutdown()
    ours = _ours(folder)
    for process in ours:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(ours, 10)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
