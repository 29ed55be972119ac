"""Ray on this machine, or a cluster whose address is a parameter; nothing of it is left when the block ends."""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tasks.cli import QUIET
from tasks.errors import Error

# Sockets have names of 107 characters at most, so that Ray's folder stands in a short place.
PREFIX = "darkroom-ray-"
ATTEMPTS = 4
OBJECTS = 512 << 20  # bytes that are between steps, on this machine


@contextmanager
def cluster(address: str | None, cpus: int | None = None) -> Iterator[None]:
    """Connect to the Ray cluster at `address` (`ray://host:10001`, `host:6379`), or start one here until the block ends.

    `cpus`: processors of the one that is started here. Raises Error where there is no cluster at the address.
    """
    for name, value in (QUIET | {"RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}).items():
        os.environ.setdefault(name, value)
    # Ray takes seconds to import.
    import ray

    folder = None
    try:
        if address:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, OSError, ValueError, RuntimeError) as error:
                raise Error(f"ray.address {address}: no cluster answers there ({str(error).splitlines()[0]})") from None
        else:
            _sweep()
            folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
            _start(folder, cpus)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        for name in ("ray.data", "ray.data._internal"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: str, cpus: int | None) -> None:
    """Start Ray here. It gives its own processes 30 seconds, which on a busy machine are too few."""
    import ray

    for attempt in range(ATTEMPTS):
        try:
            ray.init(
                address="local", num_cpus=cpus, object_store_memory=OBJECTS, include_dashboard=False, _temp_dir=folder,
                log_to_driver=False, logging_level=logging.ERROR,
            )  # fmt: skip
            return
        except Exception as error:
            ray.shutdown()
            if "timed out" not in str(error):
                raise
            if attempt == ATTEMPTS - 1:
                raise Error(f"Ray does not start on this machine: {error}; or work without it: --workers 0") from error


def _sweep() -> None:
    """Remove what killed processes of ours left."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        match = re.match(rf"{PREFIX}(\d+)-", path.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)
