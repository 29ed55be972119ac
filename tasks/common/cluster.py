"""Ray on this machine, or on a cluster whose address is a parameter; nothing of it is left when the block ends."""

import logging
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tasks.common.cli import QUIET
from tasks.common.errors import Error
from tasks.common.processors import processors

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
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
CODE = Path(__file__).resolve().parents[2]
# Sockets have names of 107 characters at most, so that Ray's folder stands in a short place.
PREFIX = "darkroom-ray-"
# Seconds for Ray to start in.
PATIENCE = 300.0


@contextmanager
def connected(address: str | None, objects: int, cpus: int | None = None) -> Iterator[dict[str, float]]:
    """Ray for as long as the block: the cluster at `address` (HOST:PORT), or one on this machine. Yields its `cpu` and `gpu`.

    `objects`: bytes of the store of what is handed on, and `cpus`: processors, all by default, of the one on this machine. Machines of
    a cluster get the project's code, and need no files of ours for it. Raises Error where there is no cluster at the address, and
    where Ray does not start.
    """
    for key, value in (QUIET | SETTINGS).items():
        os.environ.setdefault(key, value)
    _sweep()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    name = f"{PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=name, ignore_cleanup_errors=True) as folder, _path(), warnings.catch_warnings():
        # Ray's own: files it leaves to the collector, settings that it is about to change.
        warnings.simplefilter("ignore")
        # Ray takes seconds to import.
        import ray

        try:
            if address:
                for package in ("models", "tasks"):
                    shutil.copytree(
                        CODE / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__", "weights")
                    )
                try:
                    ray.init(address=address, runtime_env={"working_dir": folder}, **quiet)
                except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                    raise Error(
                        f"ray.address: {address}: no cluster answers there that this machine can use ({str(error).splitlines()[0]}); "
                        "run the command on one of its machines, or set it to null"
                    ) from None
            else:
                _start(folder, quiet, num_cpus=cpus or processors(), include_dashboard=False, object_store_memory=objects)
            found = ray.cluster_resources()
            yield {"cpu": found.get("CPU", 0.0), "gpu": found.get("GPU", 0.0)}
        finally:
            _end(folder)


def _start(folder: str, quiet: Mapping[str, Any], **options: Any) -> None:
    """Start Ray here. It gives its own processes 30 seconds, which on a busy machine are too few: what it gave up is waited for as long
    as it lives, then started again."""
    import ray

    end = time.monotonic() + PATIENCE
    while True:
        try:
            ray.init(address="local", _temp_dir=folder, **options, **quiet)
            return
        except Exception as error:
            if time.monotonic() > end:
                raise Error(f"Ray does not start on this machine within {PATIENCE:.0f} s: {error}") from error
        while time.monotonic() < end and any("raylet" in " ".join(_command(p)[:1]) for p in _ours(folder)):
            port = max(Path(folder).glob("session_2*/gcs_server_port*"), key=lambda path: path.stat().st_mtime)
            try:
                ray.init(address=f"{ray.util.get_node_ip_address()}:{port.read_text().strip()}", **quiet)
                return
            except Exception:
                ray.shutdown()
                time.sleep(1)
        _end(folder)


def _ours(folder: str) -> list[psutil.Process]:
    """What Ray started for us."""
    return [child for child in psutil.Process().children(recursive=True) if any(folder in part for part in _command(child))]


def _end(folder: str) -> None:
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


def _sweep() -> None:
    """Remove what killed processes of ours left."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        match = re.match(rf"{PREFIX}(\d+)-", path.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _path() -> Iterator[None]:
    """Ray's processes on this machine find the project's code where we did."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(CODE), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
