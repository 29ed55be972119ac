"""What a rebuild costs: from nothing, with nothing changed, a stage beside its work, and Prefect's flow beside plain `dvc repro`.

The sample is rebuilt as `make rebuild` does it, in a clone of the last commit. Prefect's flow and plain DVC run a project of stages that
take a second each, in turn, each time anew.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import timing

TOOK = re.compile(r"([^ |]+) took ([\d.]+) s$")
JOBS = "2"  # make rebuild's
WARM = (sys.executable, "-m", "tasks.common.warm", "dvc", "repro")
STAGES, SECONDS, REPEATS = 60, 1, 3
# Plain DVC's time as a share of Prefect's, which is at most 15 % and 15 s more.
SHARE, EXTRA = 1 / 1.15, 15
PARAMS = {"root": ".", "device": "cpu", "download": {}, "preprocess": {}, "experiments": {}, "comparisons": {}}


def run(root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        return [*sample(root, Path(temporary) / "clone"), *prefect(root, Path(temporary))]


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
            "limit": 3,
            "description": f"make rebuild of the sample profile with nothing changed: {count}",
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


def prefect(
    root: Path, temporary: Path, stages: int = STAGES, seconds: float = SECONDS, repeats: int = REPEATS
) -> list[dict[str, Any]]:
    """Rows of Prefect's flow against plain DVC."""
    home = {"PREFECT_HOME": str(temporary / "prefect")}
    plain = [sys.executable, "-m", "dvc", "repro"]

    def timed(command: Callable[[Path], Sequence[str]]) -> float:
        with project(temporary, stages, seconds) as folder:
            return repeat(command(folder), folder, root, **home)[-1][0]

    def flow(folder: Path) -> list[str]:
        return [sys.executable, "-m", "flows.rebuild", "--profile", str(folder)]

    timed(flow)  # which makes Prefect's database
    pairs = [(timed(flow), timed(lambda _: plain)) for _ in range(repeats)]
    rates = [(stages / ours, stages / other) for ours, other in pairs]
    what = f"{stages} stages of {seconds:g} s"
    return [
        timing.compared(
            "rebuild_prefect",
            rates,
            unit="stages",
            floor=round(SHARE, 2),
            description=f"{what} through Prefect's flow, each a task run, against plain dvc repro",
        ),
        {
            "name": "rebuild_prefect_extra",
            "seconds": round(statistics.median(ours - other for ours, other in pairs), 1),
            "limit": EXTRA,
            "repeats": repeats,
            "description": f"{what}: what Prefect's flow takes more than plain dvc repro",
        },
    ]


@contextmanager
def project(above: Path, stages: int, seconds: float) -> Iterator[Path]:
    """A project as long as the block, none of whose stages has run."""
    with tempfile.TemporaryDirectory(dir=above) as temporary:
        folder = Path(temporary)
        command = f"sleep {seconds} && echo ${{item}} > out-${{item}}.txt"
        each = {"foreach": [*range(stages)], "do": {"cmd": command, "outs": ["out-${item}.txt"]}}
        (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"stage": each}}))
        for made in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
            subprocess.run(made, cwd=folder, check=True)
        yield folder
