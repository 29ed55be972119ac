"""What a rebuild of the sample costs: from nothing, with nothing changed, and a stage beside its work.

It runs as `make rebuild` does, in a clone of the last commit.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOOK = re.compile(r"([^ |]+) took ([\d.]+) s$")
JOBS = "2"  # make rebuild's
UNCHANGED = 3 / 60  # seconds a stage that are promised
WARM = (sys.executable, "-m", "tasks.common.warm", "dvc", "repro")


def run(root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        return sample(root, Path(temporary) / "clone")


def sample(root: Path, clone: Path) -> list[dict[str, Any]]:
    """Rows of the sample profile, in a clone of the project."""
    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
    check, repro = [sys.executable, "-m", "tasks.config"], [*WARM, "dvc.yaml"]
    configured, first = repeat(check, clone), repeat(repro, clone, DARKROOM_JOBS=JOBS)
    second = repeat(repro, clone, DARKROOM_JOBS=JOBS)
    if not any("up to date" in line for _, line in second):
        raise RuntimeError("the second rebuild was not a no-op:\n" + "".join(line for _, line in second))
    stages = seconds_of(first)
    beside = {name: took - trained(clone, name) for name, took in stages.items() if name.startswith("train@")}
    count = f"{len(stages)} stages"
    return [
        {
            "name": "rebuild_sample",
            "seconds": round(configured[-1][0] + first[-1][0], 1),
            "limit": 480,
            "stages": {name: round(took, 2) for name, took in stages.items()},
            "description": f"make rebuild of the sample profile, from nothing: {count}, {JOBS} at once",
        },
        {
            "name": "rebuild_unchanged",
            "seconds": round(second[-1][0], 1),
            "limit": round(UNCHANGED * len(stages), 2),
            "description": f"make rebuild of the sample profile with nothing changed: {count}; 3 s are promised for 60",
        },
        {
            "name": "rebuild_stage",
            "seconds": round(statistics.median(beside.values()), 2),
            "limit": 1.5,
            "description": f"a stage beside its work: {len(beside)} trainings without their training loop, the median",
        },
    ]


def trained(root: Path, stage: str) -> float:
    """The seconds of a stage's training loop."""
    record = json.loads((root / "results" / stage.partition("@")[2] / "training.json").read_bytes())
    return float(record["train_seconds"])


def seconds_of(lines: Sequence[tuple[float, str]]) -> dict[str, float]:
    """The seconds of each stage that ran beside another, as they are printed at its end."""
    return {match[1]: float(match[2]) for _, line in lines if (match := TOOK.match(line))}


def repeat(command: Sequence[str], folder: Path, root: Path | None = None, **environment: str) -> list[tuple[float, str]]:
    """The lines that a command prints, each with the seconds since its start; the last one is empty, at its end.

    `root`: the project whose code runs, `folder` by default. Raises RuntimeError where it fails.
    """
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root or folder),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        **environment,
    }
    start = time.perf_counter()
    lines = []
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines = [(time.perf_counter() - start, line) for line in process.stdout]
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n" + "".join(line for _, line in lines[-40:]))
    return [*lines, (time.perf_counter() - start, "")]
