"""The real make, on a tiny project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.flows.conftest import write_project

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # What is installed stands elsewhere.
    command = ["make", "--old-file", ".venv/.ready", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / "project")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.mark.parametrize("git", [True, False], ids=["a clone", "an archive"])
def test_a_rebuild_and_a_second_one_with_nothing_to_do(project: Path, git: bool) -> None:
    if not git:
        shutil.rmtree(project / ".git")
    assert "second stage" in make(project, "rebuild")
    assert (project / "results" / "table.csv").read_text() == "x,y\n1,3\n"
    assert "up to date" in make(project, "rebuild")


def test_clean_leaves_what_is_the_user_s(project: Path) -> None:
    made = (
        "data/raw/a",
        "data/annotated/a",
        "full/data/raw/a",
        "extra/data/raw/a",
        "runs/state/sample/a",
        "runs/ui/a.log",
        "runs/prefect/a.db",
    )
    kept = ("runs/inbox/a.jpg", "runs/annotated/faces.csv", "runs/cnn-20260101-120000/weights/a", "runs/sweep-a/best.json",
            "photographs/data/a.jpg", "results/a/metrics.json", "full/results/a/metrics.json")  # fmt: skip
    for name in made + kept:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    make(project, "clean")
    assert [name for name in made if (project / name).exists()] == []
    assert [name for name in kept if not (project / name).exists()] == []


@pytest.mark.parametrize("jobs", ["two", "0", "1.5", "-1"])
def test_a_number_of_jobs_that_is_none_is_refused_before_any_work(project: Path, jobs: str) -> None:
    with pytest.raises(AssertionError, match=rf"error: JOBS={jobs}: give how many stages run at once"):
        make(project, "rebuild", f"JOBS={jobs}")
    assert not (project / "results" / "table.csv").exists()


def test_help_lists_the_commands(project: Path) -> None:
    listed = make(project)
    for target in ("rebuild", "test", "check", "ui", "demo", "bench", "lock", "clean"):
        assert f"make {target} " in listed
