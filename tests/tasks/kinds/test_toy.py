"""A new kind of task is a new folder: it works from preparation to the report, and no other file knows of it."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT

TOY = Path(__file__).parent / "toy"
EXPERIMENT = {
    "system": "ink", "data": "digits", "network": "cnn", "architecture": {"widths": [8, 8]}, "seeds": [0],
    "published": [{"metric": "ink_error", "value": 0.5, "source": "a guess"}],
    "train": {
        "epochs": 2, "batch_size": 50, "loss": "squares", "optimizer": {"name": "adam", "lr": 0.01}, "keep": "best", "select": "ink_error",
    },
}  # fmt: skip
SWEEP = {
    **{key: value for key, value in EXPERIMENT.items() if key not in ("seeds", "published")},
    "space": {"train.optimizer.lr": {"float": [0.001, 0.1], "log": True}}, "objective": {"name": "centre_error"}, "trials": 3,
    "scheduler": {"grace": 1}, "time_budget": 300, "seed": 0,
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's code with the kind `ink` in it, and a params.yaml that uses it."""
    for package in ("tasks", "models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copytree(TOY, tmp_path / "tasks" / "kinds" / "ink", ignore=shutil.ignore_patterns("__pycache__"))
    params = {
        "root": ".", "device": "cpu", "download": {"mnist-5k": {}},
        "preprocess": {"digits": {"dataset": "mnist-5k", "task": "ink", "validation": 200, "test": 200}},
        "experiments": {"inked": EXPERIMENT}, "sweeps": {"search": SWEEP},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(project), "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr + done.stdout


def code_of(project: Path) -> dict[str, str]:
    files = [
        path for package in ("tasks", "models") for path in (project / package).rglob("*.*") if "__pycache__" not in path.parts
    ]
    return {path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_toy_imports_no_other_kind() -> None:
    for path in TOY.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("tasks.kinds.")


def test_a_kind_of_one_folder_prepares_trains_evaluates_and_shows_itself(project: Path) -> None:
    before = code_of(project)
    run(project, "tasks.download", "mnist-5k")
    run(project, "tasks.preprocess", "digits")
    assert "val_ink_error" in run(project, "tasks.train", "inked")
    run(project, "tasks.evaluate", "inked")
    result: dict[str, Any] = json.loads((project / "results" / "inked" / "metrics.json").read_bytes())
    assert (result["task"], set(result["metrics"])) == ("ink", {"ink_error", "centre_error"})
    assert result["metrics"]["ink_error"] < 0.1
    history = pd.read_csv(project / "results" / "inked" / "history.csv")
    assert result["val_metrics"]["ink_error"] == pytest.approx(history["val_ink_error"].min(), abs=1e-6), "less is better"
    run(project, "tasks.report")
    page = (project / "results" / "report.html").read_text()
    for text in ("Error of the ink", "Of 200 test images the ink was found.", "Ink as it is and as it was found", 'class="good"'):
        assert text in page
    assert (project / "results" / "inked" / "shown.webp").stat().st_size <= 30_000
    assert "ink_error" in pd.read_csv(project / "results" / "table.csv").columns
    assert code_of(project) == before
    assert "tasks/kinds/ink/objective.py" in run_digest(project)


def run_digest(project: Path) -> str:
    run(project, "tasks.code")
    return (project / "data" / "code" / "train" / "inked").read_text()


@pytest.mark.slow
def test_a_kind_of_one_folder_is_swept_by_its_own_metric(project: Path) -> None:
    run(project, "tasks.download", "mnist-5k")
    run(project, "tasks.preprocess", "digits")
    run(project, "tasks.sweep", "search")
    trials = pd.read_csv(project / "results" / "search" / "trials.csv")
    best = json.loads((project / "results" / "search" / "best.json").read_bytes())
    complete = trials[trials["state"] == "complete"]
    assert best["trial"] == complete.loc[complete["val_centre_error"].idxmin(), "trial"]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "measure.py").unlink(), "lacks measure.py"),
        (lambda folder: (folder / "__init__.py").write_text("METRICS = ()"), "lacks Prepare"),
    ],
)
def test_a_folder_that_lacks_a_part_is_named_before_any_work(
    project: Path, break_it: Callable[[Path], object], says: str
) -> None:
    break_it(project / "tasks" / "kinds" / "ink")
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-m", "tasks.preprocess", "digits"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert not (project / "data" / "processed").exists()
