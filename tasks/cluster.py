"""Ray on this machine or on a cluster: whether what a sweep asks for is there, and a connection for as long as it runs."""

import logging
import os
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray
import torch

from tasks import provenance
from tasks.config import Profile, Sweep
from tasks.errors import Error

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray's is 15: beside any other work, trials would wait.
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
CODE = Path(__file__).resolve().parent.parent
# Beside the data, what Ray keeps in its store itself.
STORE = 128 << 20
# Seconds for Ray to start in.
PATIENCE = 300.0


def check(profile: Profile, name: str) -> None:
    """Raises Error, naming the key, for resources that are not there and a cluster that does not answer; Ray is not started."""
    address, sweep = profile.params.ray.address, profile.sweep(name)
    if address:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise Error(f"ray.address: {address!r} is not HOST:PORT, such as 10.0.0.1:6379; null runs the sweep on this machine")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise Error(
                f"ray.address: {address} does not answer ({error}); start it (ray start --head), or set it to null"
            ) from None
        return
    present = {"cpu": float(cores()), "gpu": float(torch.cuda.device_count())}
    _enough(sweep, name, present, "this machine")
    provenance.device(profile.params.device)


def _enough(sweep: Sweep, name: str, present: Mapping[str, float], where: str) -> None:
    for kind, count in present.items():
        wanted = getattr(sweep.resources, kind)
        if wanted > count:
            raise Error(f"sweeps.{name}.resources.{kind}: a trial takes {wanted:g}, and {where} has {count:g}")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connected(profile: Profile, name: str, size: int) -> Iterator[dict[str, float]]:
    """Ray, for as long as the block: this machine's processors, or the cluster of `ray.address`. Yields its resources.

    `size`: bytes of the data that trials share.
    """
    sweep, address = profile.sweep(name), profile.params.ray.address
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, _path(), warnings.catch_warnings():
        # Ray's own: files it leaves to the collector, settings that it is about to change.
        warnings.simplefilter("ignore")
        if address:
            for package in ("models", "tasks"):
                shutil.copytree(CODE / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
            try:
                ray.init(address=address, runtime_env={"working_dir": folder}, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise Error(
                    f"ray.address: {address} cannot be used: {error}; run the sweep on one of the cluster's machines"
                ) from None
        else:
            try:
                _start(folder, quiet, num_cpus=cores(), include_dashboard=False, object_store_memory=size + STORE)
            except BaseException:
                _end(folder)
                raise
        try:
            found = ray.cluster_resources()
            present = {"cpu": found.get("CPU", 0.0), "gpu": found.get("GPU", 0.0)}
            _enough(sweep, name, present, "the cluster")
            yield present
        finally:
            _end(folder)


def _start(folder: str, quiet: Mapping[str, Any], **options: Any) -> None:
    """Start Ray here. It gives its own processes 30 seconds, which on a busy machine are too few: what it gave up is waited for as long
    as it lives, then started again."""
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


def at_once(sweep: Sweep, present: Mapping[str, float]) -> int:
    """How many trials run at a time."""
    room = [present[kind] / wanted for kind in ("cpu", "gpu") if (wanted := getattr(sweep.resources, kind))]
    return min(max(1, int(min(room))), sweep.concurrency or sweep.trials)
