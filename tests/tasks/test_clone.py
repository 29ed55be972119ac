"""A clone has no outputs: an experiment is added, trained, evaluated and reported beside others of which only what git keeps is there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from tests.conftest import ROOT

PARAMS = """
root: .
device: cpu
defaults: &defaults {after: none, judge: none, sweep: none, architecture: {}}
download: {mnist-5k: {}}
preprocess:
  digits: {dataset: mnist-5k, task: classify, validation: 300, test: 300}
experiments:
  others:
    <<: *defaults
    system: softmax
    data: digits
    network: linear
    train: {epochs: 1, batch_size: 100, loss: cross-entropy, optimizer: {name: sgd, lr: 0.02}}
    seeds: [0]
    published: []
comparisons: {}
calibrate: {}
sweeps: {}
studies: {}
annotate: {}
"""
MINE = """
  mine:
    <<: *defaults
    system: two-layer
    data: digits
    network: mlp
    architecture: {widths: [16]}
    train: {epochs: 1, batch_size: 100, loss: cross-entropy, optimizer: {name: adam, lr: 0.01}}
    seeds: [0]
    published: []
comparisons: {}"""


def run(folder: Path, *arguments: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {
        "PATH": path,
        "PYTHONPATH": str(folder),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_an_experiment_is_added_in_a_clone_that_has_no_weights_of_others(tmp_path: Path) -> None:
    first, clone = tmp_path / "first", tmp_path / "clone"
    first.mkdir()
    for package in ("tasks", "models"):
        shutil.copytree(ROOT / package, first / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, first)
    (first / "params.yaml").write_text(PARAMS)
    shutil.copytree(ROOT / "results" / "none", first / "results" / "none")
    (first / "results" / "bench.json").write_text("{}")
    (first / "results" / "gpu.json").write_text("{}")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    run(first, "git", "init", "-q")
    run(first, "dvc", "init", "-q")
    run(first, "dvc", "repro", "-q")
    run(first, *git, "add", "-A")
    run(first, *git, "commit", "-qm", "results")
    run(tmp_path, "git", "clone", "-q", str(first), str(clone))
    assert not (clone / "results" / "others" / "weights").exists()
    assert not (clone / "results" / "others" / "plots").exists()

    run(clone, "dvc", "repro", "-q", "code")
    status = json.loads(run(clone, "dvc", "status", "--json"))
    assert "modified" not in json.dumps(status), "what is not there is deleted, and nothing is modified"

    (clone / "params.yaml").write_text(PARAMS.replace("\ncomparisons: {}", MINE))
    run(clone, "dvc", "repro", "-q", "evaluate@mine")
    run(clone, sys.executable, "-m", "tasks.report")
    page = BeautifulSoup((clone / "results" / "report.html").read_text(), "html.parser")
    assert [row.th.a.text for row in page.select("#summary tbody tr")] == ["others", "mine"]
    assert len(page.find("section", id="others").find_all("img")) == 1, "the one picture that git keeps"
    assert len(page.find("section", id="mine").find_all("img")) > 1
    assert not (clone / "results" / "others" / "weights").exists(), "nothing of the others was run"
    kept = yaml.safe_load((clone / "dvc.lock").read_bytes())["stages"]["train@others"]
    assert kept == yaml.safe_load((first / "dvc.lock").read_bytes())["stages"]["train@others"]
