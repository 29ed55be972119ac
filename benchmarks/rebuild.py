"""How long `dvc repro` takes from nothing, and with nothing changed, in a clone of the project."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def run(root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
        first, second = _repro(clone), _repro(clone)
    if "up to date" not in second[1]:
        raise RuntimeError(f"the second rebuild was not a no-op:\n{second[1]}")
    return [
        {
            "name": "rebuild_sample",
            "seconds": round(first[0], 1),
            "limit": 600,
            "description": "dvc repro of the sample profile, from nothing",
        },
        {
            "name": "rebuild_unchanged",
            "seconds": round(second[0], 1),
            "limit": 5,
            "description": "dvc repro with nothing changed",
        },
    ]


def _repro(clone: Path) -> tuple[float, str]:
    """Seconds and output. The clone's own code is what runs."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
        "MLFLOW_TRACKING_URI": f"sqlite:///{clone}/mlflow.db",
    }
    start = time.perf_counter()
    done = subprocess.run(["dvc", "repro"], cwd=clone, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"dvc repro failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - start, done.stdout
