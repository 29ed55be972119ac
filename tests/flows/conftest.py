"""One Prefect server for all flow tests, and a tiny project whose stages take no time."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

# Prefect reads its settings when it is imported: nothing of the user's is read or written.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-")
os.environ.pop("PREFECT_API_URL", None)

PARAMS = {"root": ".", "device": "cpu", "download": {}, "preprocess": {}, "experiments": {}, "comparisons": {}}
STAGES = {
    # The last first: the order is DVC's to find.
    "report": {
        "cmd": "cp results/second.csv results/table.csv && echo '<p>report</p>' > results/report.html",
        "deps": ["results/second.csv"],
        "outs": ["results/table.csv", "results/report.html"],
    },
    "second": {
        "cmd": "echo second stage && sed s/2/3/ data/a.csv > results/second.csv",
        "deps": ["data/a.csv"],
        "outs": ["results/second.csv"],
    },
    "download": {
        "foreach": ["a"],
        "do": {"cmd": "printf 'x,y\\n1,2\\n' > data/${item}.csv", "outs": ["data/${item}.csv"]},
    },
}


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def initialise(folder: Path) -> None:
    """Make a folder a git and DVC project."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    Repo.init(str(folder)).close()


def write_project(folder: Path, **stages: Any) -> Path:
    """A profile with a DAG of three stages; keyword arguments replace stages."""
    for part in ("data", "results"):
        (folder / part).mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES | stages}, sort_keys=False))
    initialise(folder)
    return folder


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    return partial(write_project, tmp_path / "project")
