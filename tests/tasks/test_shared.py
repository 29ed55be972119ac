"""DVC's own ways of working together: a remote folder, and experiments beside the working tree."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.tasks.test_clone import PARAMS, run

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
WEIGHTS = Path("results", "others", "weights", "seed-0.safetensors")
CHANGE = ("-S", "experiments.others.train.epochs=2")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project that is rebuilt and committed, with a remote folder that has what git does not keep."""
    folder = tmp_path_factory.mktemp("shared")
    project = folder / "project"
    for package in ("tasks", "models"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, project)
    (project / "params.yaml").write_text(PARAMS)
    shutil.copytree(ROOT / "results" / "none", project / "results" / "none")
    (project / "results" / "bench.json").write_text("{}")
    (project / "results" / "gpu.json").write_text("{}")
    run(project, "git", "init", "-q")
    run(project, "dvc", "init", "-q")
    run(project, "dvc", "remote", "add", "-q", "-d", "shared", str(folder / "remote"))
    run(project, "dvc", "repro", "-q")
    run(project, *GIT, "add", "-A")
    run(project, *GIT, "commit", "-qm", "results")
    run(project, "dvc", "push", "-q")
    return project


@pytest.fixture
def clone(first: Path, tmp_path: Path) -> Path:
    """What a colleague has after `git clone`."""
    run(tmp_path, "git", "clone", "-q", str(first), "clone")
    assert not (tmp_path / "clone" / WEIGHTS).exists()
    return tmp_path / "clone"


def ran(printed: str) -> set[str]:
    """The stages that DVC ran."""
    return {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}


def test_a_colleague_pulls_weights_and_pictures_and_trains_nothing(first: Path, clone: Path) -> None:
    run(clone, "dvc", "pull", "-q")
    assert (clone / WEIGHTS).read_bytes() == (first / WEIGHTS).read_bytes()
    pictures = {path.name for path in (first / "results" / "others" / "plots").iterdir()}
    assert pictures
    assert {path.name for path in (clone / "results" / "others" / "plots").iterdir()} == pictures
    assert ran(run(clone, "dvc", "repro")) <= {"code", "report"}, "digests and the page are in no cache"
    assert run(clone, *GIT, "status", "--porcelain", "results") == "", "no number is different"
    theirs, ours = (yaml.safe_load((folder / "dvc.lock").read_bytes())["stages"] for folder in (first, clone))
    assert {name: stage for name, stage in ours.items() if name != "report"} == {n: s for n, s in theirs.items() if n != "report"}


def metrics(printed: str) -> list[dict[str, Any]]:
    """The experiments of `dvc exp show --json`: their parameters and results."""
    found = []
    for commit in json.loads(printed):
        for experiment in commit.get("experiments") or []:
            for revision in experiment["revs"]:
                data = revision["data"]
                result = data["metrics"]["results/others/metrics.json"]["data"]
                params = data["params"]["params.yaml"]["data"]["experiments"]["others"]
                found.append({"epochs": params["train"]["epochs"], "measured": result["epochs"], "metrics": result["metrics"]})
    return found


@pytest.fixture
def dirty(clone: Path) -> Path:
    """A clone with what is trained, and a change of the user's that is not committed."""
    run(clone, "dvc", "pull", "-q")
    (clone / "params.yaml").write_text((clone / "params.yaml").read_text() + "# a note\n")
    (clone / "notes.txt").write_text("mine")
    return clone


@pytest.mark.parametrize("options", [(), ("--temp",)], ids=["here", "temp"])
def test_an_experiment_runs_in_a_dirty_clone(dirty: Path, options: tuple[str, ...]) -> None:
    before = (dirty / WEIGHTS).read_bytes()
    run(dirty, "dvc", "exp", "run", "-q", *CHANGE, *options, "evaluate@others")
    (tried,) = metrics(run(dirty, "dvc", "exp", "show", "--json"))
    assert tried["epochs"] == tried["measured"] == 2
    assert 0 < tried["metrics"]["accuracy"] <= 1
    assert "# a note" in (dirty / "params.yaml").read_text()
    assert (dirty / "notes.txt").read_text() == "mine"
    assert ((dirty / WEIGHTS).read_bytes() == before) is bool(options), "with --temp the working tree stays as it is"


def test_queued_experiments_run_one_after_another(dirty: Path) -> None:
    before = (dirty / WEIGHTS).read_bytes()
    for epochs in (2, 3):
        run(dirty, "dvc", "exp", "run", "-q", "--queue", "-S", f"experiments.others.train.epochs={epochs}", "evaluate@others")
    # Its worker lives on, and would hold our pipes.
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(dirty),
    }
    subprocess.run(
        ["dvc", "queue", "start"], cwd=dirty, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    try:
        end = time.monotonic() + 600
        while any(word in (status := run(dirty, "dvc", "queue", "status")) for word in ("Queued", "Running")):
            assert time.monotonic() < end, status
            time.sleep(2)
        assert "Failed" not in status, run(dirty, "dvc", "queue", "logs", status.split()[6])
        assert sorted(tried["measured"] for tried in metrics(run(dirty, "dvc", "exp", "show", "--json"))) == [2, 3]
        assert (dirty / WEIGHTS).read_bytes() == before, "the working tree stays as it is"
    finally:
        run(dirty, "dvc", "queue", "stop", "--kill")
