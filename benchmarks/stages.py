"""Stages of a rebuild beside each other, against one after the other, on as many processors.

Some of the sample's trainings run anew, in a clone of the last commit: two at once with half the processors each, as `make rebuild` runs the
sample, and one at a time with all of them.
"""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import timing
from benchmarks.rebuild import JOBS, WARM, repeat

TRAININGS = ("cnn", "gan-dc-tuned", "vae-vq", "conditional-vae")
REPEATS = 3


def run(root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
        _again(clone, JOBS)  # what they need is prepared first, and trained
        images = sum(_images(clone, name) for name in TRAININGS)
        pairs = [(_again(clone, JOBS), _again(clone, "1")) for _ in range(REPEATS)]
    return [
        timing.compared(
            "stages_at_once",
            [(images / ours, images / other) for ours, other in pairs],
            unit="images",
            floor=None,
            description=f"trainings of the sample ({', '.join(TRAININGS)}) by make rebuild, {JOBS} at once, against one after the other",
        )
    ]


def _again(clone: Path, jobs: str) -> float:
    """The seconds that the trainings take anew, so many at once."""
    for name in TRAININGS:
        shutil.rmtree(clone / "results" / name / "weights", ignore_errors=True)
    start = time.perf_counter()
    repeat([*WARM, "--no-run-cache", *(f"train@{name}" for name in TRAININGS)], clone, DARKROOM_JOBS=jobs)
    return time.perf_counter() - start


def _images(clone: Path, name: str) -> int:
    """The images that a training sees, each as often as it does."""
    record, metrics = (json.loads((clone / "results" / name / f"{file}.json").read_bytes()) for file in ("training", "metrics"))
    return int(metrics["n_train"]) * int(record["epochs"])
