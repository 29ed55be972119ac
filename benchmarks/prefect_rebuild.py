"""What Prefect's flow costs beside plain `dvc repro`: a project of stages that take a second each, in turn, each time anew."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import timing
from benchmarks.rebuild import repeat

STAGES, SECONDS, REPEATS = 60, 1, 3
# Plain DVC's time as a share of Prefect's, which is at most 15 % and 15 s more.
SHARE, EXTRA = 1 / 1.15, 15
PARAMS = {"root": ".", "device": "cpu", "download": {}, "preprocess": {}, "experiments": {}, "comparisons": {}}


def run(root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        return compared(root, Path(temporary))


def compared(
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
