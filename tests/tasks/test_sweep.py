"""Sweeps in Ray, for real: killed, out of room, on a cluster that loses a machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
import pytest
import torch
import yaml

from tasks import config, data
from tasks.cluster import SETTINGS
from tasks.config import Profile
from tasks.errors import Error
from tasks.evaluate import evaluate
from tasks.report import report
from tasks.study import Study, startup
from tasks.sweep import sweep
from tasks.train import train
from tests.conftest import ROOT
from tests.sweeps import with_sweep

MakeProfile = Callable[..., Profile]
TRIALS = 8


def start(profile: Profile) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tasks.sweep", "tiny"]
    return subprocess.Popen(command, cwd=profile.folder, env=environment, stderr=subprocess.PIPE, text=True)


def read(process: subprocess.Popen[str], ended: int) -> list[str]:
    """What a sweep says until so many trials have ended."""
    assert process.stderr is not None
    lines: list[str] = []
    while sum(": trial " in line for line in lines) < ended:
        line = process.stderr.readline()
        assert line, "".join(lines)
        lines.append(line)
    return lines


def end(process: subprocess.Popen[str]) -> None:
    """End a sweep and all of its processes, as a power failure does."""
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def journal(profile: Profile) -> Path:
    (path,) = profile.state("sweep").glob("tiny/*/study.jsonl")
    return path


def fed(profile: Profile, folder: Path, table: pd.DataFrame, curves: pd.DataFrame) -> list[dict[str, Any]]:
    """What a study draws that is told, one after another, what the table says."""
    study = Study(folder, profile.sweep("tiny"), data.info(profile.processed("tiny-classes")))
    drawn = []
    for _, row in table.iterrows():
        trial = study.ask()
        assert trial is not None
        drawn.append(trial.sampled)
        for epoch in curves[curves["trial"] == row["trial"]].drop(columns="trial").to_dict("records"):
            study.report(trial.number, epoch)
        study.finish(trial.number, row["state"])
    return drawn


def test_a_sweep_that_loses_a_worker_and_its_driver_goes_on(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = with_sweep(make_profile(), trials=TRIALS, concurrency=1)
    first = start(profile)
    read(first, 1)
    workers = [p for p in psutil.Process(first.pid).children(recursive=True) if "ImplicitFunc" in " ".join(p.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    read(first, startup(TRIALS) + 2)
    before = journal(profile).read_text()
    first.kill()
    first.communicate()
    assert not (profile.results("tiny") / "best.json").exists()

    second = start(profile)
    said = second.communicate()[1]
    assert second.returncode == 0, said
    assert "trial 0 " not in said, "what had ended stands"
    table = pd.read_csv(profile.results("tiny") / "trials.csv", keep_default_na=False, na_values={"val_loss": [""]})
    assert list(table["trial"]) == list(range(TRIALS)), "none is lost or doubled"
    assert set(table["state"]) <= {"complete", "pruned"}, "a worker's death is no trial's failure"
    curves = pd.read_parquet(profile.evaluated("tiny") / "curves.parquet")
    for line in map(json.loads, before.splitlines()):
        if "epoch-1" in (reported := line.get("user_attr", {})):
            assert reported["epoch-1"]["val_loss"] in list(curves["val_loss"]), "an epoch that was told stands"
    sampled = table[["architecture.widths.0", "train.optimizer.lr"]].to_dict("records")
    for ours, expected in zip(sampled, fed(profile, tmp_path / "fed", table, curves)):
        assert ours["architecture.widths.0"] == expected["architecture.widths.0"], "drawn with all earlier results"
        assert ours["train.optimizer.lr"] == pytest.approx(expected["train.optimizer.lr"], rel=1e-5)
    best = json.loads((profile.results("tiny") / "best.json").read_text())
    assert best["val_loss"] == pytest.approx(table[table["state"] == "complete"]["val_loss"].min(), rel=1e-5)
    assert not list(profile.state("sweep").glob("tiny/*/")), "nothing is left to resume"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    """A profile whose sweep has run: one of its trials fails."""
    folder = tmp_path_factory.mktemp("swept")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    from tests.conftest import experiment, write_prepared

    params = {
        "root": ".",
        "device": "cpu",
        "download": {"patches": {}},
        "preprocess": {"tiny-classes": {"dataset": "patches", "task": "classify", "validation": 10}},
        "experiments": {"classes": experiment("classify")},
    }
    profile_folder = folder / "profile"
    profile_folder.mkdir()
    (profile_folder / "params.yaml").write_text(yaml.safe_dump(params))
    write_prepared(profile_folder / "data" / "processed" / "tiny-classes", "classify", {"train": 48, "val": 24, "test": 24})
    # 1e30 is no rate that a loss survives.
    space = {"architecture.widths.0": {"int": [4, 16]}, "train.optimizer.lr": {"choice": [0.01, 0.03, 1e30]}}
    profile = with_sweep(
        config.load(profile_folder), space=space, objective={"name": "pareto", "bound": 5.0}, max_failed_share=0.9, seed=1
    )
    sweep(profile, "tiny")
    yield profile
    patch.undo()


def test_a_sweep_leaves_its_tables_its_winner_and_its_figures(swept: Profile) -> None:
    folder = swept.results("tiny")
    table = pd.read_csv(folder / "trials.csv")
    assert {"trial", "state", "val_loss", "parameters", "epochs", "architecture.widths.0", "train.optimizer.lr"} <= {*table}
    assert len(pd.read_parquet(folder / "trials.parquet")) == len(table) == TRIALS
    result = json.loads((folder / "metrics.json").read_text())
    assert (result["task"], result["metrics"], result["experiment"]) == ("sweep", {}, "tiny")
    assert sum(result["trials"].values()) == TRIALS
    assert result["epochs"] == table["epochs"].sum()
    for figure in ("front", "parallel", "rungs", "cost"):
        assert (folder / "plots" / f"{figure}.png").stat().st_size > 1000
    front = pd.read_csv(folder / "plots" / "front.csv")
    assert front["parameters"].is_monotonic_increasing
    assert front["val_loss"].is_monotonic_decreasing


def test_a_trial_that_raises_is_recorded_with_its_error(swept: Profile) -> None:
    table = pd.read_csv(swept.results("tiny") / "trials.csv")
    failed = table[table["state"] == "failed"]
    assert len(failed) == (table["train.optimizer.lr"] == 1e30).sum() > 0
    assert failed["error"].str.contains("the training loss is not finite").all()


def test_mlflow_has_a_run_a_trial_and_the_winner(swept: Profile) -> None:
    client = mlflow.MlflowClient()
    (parent,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], "tags.profile = 'sample'")
    assert parent.info.status == "FINISHED"
    runs = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    table = pd.read_csv(swept.results("tiny") / "trials.csv").set_index("trial")
    assert len(runs) == TRIALS
    status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    for run in runs:
        row = table.loc[int(run.data.tags["trial"])]
        assert run.info.status == status[row["state"]]
        assert run.data.metrics["parameters"] == row["parameters"]
        assert int(run.data.params["architecture.widths.0"]) == row["architecture.widths.0"]
        assert len(client.get_metric_history(run.info.run_id, "val_loss")) == row["epochs"]
        assert ("error" in run.data.tags) == (row["state"] == "failed")
    version = client.get_model_version_by_alias("tiny", "champion")
    best = json.loads((swept.results("tiny") / "best.json").read_text())
    assert version.run_id == next(run.info.run_id for run in runs if int(run.data.tags["trial"]) == best["trial"])
    images = data.Data(swept.processed("tiny-classes"), "val").images[:3]
    assert len(mlflow.pyfunc.load_model("models:/tiny@champion").predict(images)) == 3


def test_the_winner_is_trained_evaluated_and_reported_as_any_experiment(swept: Profile) -> None:
    best = json.loads((swept.results("tiny") / "best.json").read_text())
    experiment = swept.experiment("found")
    assert experiment.architecture == best["architecture"]
    assert experiment.train.epochs == 3
    assert experiment.train.optimizer.lr == best["train"]["optimizer"]["lr"]
    train(swept, "found")
    assert evaluate(swept, "found")["parameters"] == best["parameters"]
    page = report(swept).read_text()
    assert 'id="tiny"' in page
    assert 'href="#found"' in page


def test_too_many_failures_end_the_sweep_and_say_why(make_profile: MakeProfile) -> None:
    space = {"train.optimizer.lr": {"choice": [1e29, 1e30]}}
    profile = with_sweep(make_profile(), space=space, concurrency=1)
    with pytest.raises(
        Error, match=r"(?s)2 trials failed, more than max_failed_share allows.*loss is not finite.*delete .*state"
    ):
        sweep(profile, "tiny")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"resources": {"cpu": 4096}}, r"sweeps\.tiny\.resources\.cpu: a trial takes 4096, and this machine has"),
        ({"ray": {"address": "nowhere"}}, r"ray\.address: 'nowhere' is not HOST:PORT"),
    ],
)
def test_what_is_not_there_is_refused_before_ray_starts(make_profile: MakeProfile, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Error, match=says):
        sweep(with_sweep(make_profile(), **changes), "tiny")


def test_a_gpu_that_is_not_there_and_a_cluster_that_does_not_answer(make_profile: MakeProfile) -> None:
    profile = make_profile()
    if not torch.cuda.is_available():
        with pytest.raises(Error, match=r"sweeps\.tiny\.resources\.gpu: a trial takes 0\.5, and this machine has 0"):
            sweep(with_sweep(profile, resources={"gpu": 0.5}), "tiny")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(Error, match=rf"ray\.address: {address} does not answer"):
            sweep(with_sweep(profile, ray={"address": address}), "tiny")
    with pytest.raises(Error, match="did you mean tiny"):
        sweep(profile, "tinny") if "tiny" in profile.params.sweeps else sweep(with_sweep(profile), "tinny")


def test_a_second_run_at_the_same_time_is_refused(make_profile: MakeProfile) -> None:
    from filelock import FileLock

    profile = with_sweep(make_profile())
    home = profile.state("sweep") / "tiny"
    home.mkdir(parents=True)
    with FileLock(home / "lock"), pytest.raises(Error, match="sweep tiny runs already"):
        sweep(profile, "tiny")


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_sweep_goes_on_once_there_is_room(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(), concurrency=1)
    disk = profile.root / "runs"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is for root")
    try:
        process = start(profile)
        said = process.communicate()[1]
        assert process.returncode == 1
        assert "the disk is full" in said
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = start(profile)
        said = again.communicate()[1]
        assert again.returncode == 0, said
        table = pd.read_csv(profile.results("tiny") / "trials.csv")
        assert list(table["trial"]) == list(range(TRIALS))
        assert set(table["state"]) <= {"complete", "pruned"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_a_cluster_of_two_machines_that_loses_one(make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
    try:
        other = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        profile = with_sweep(make_profile(), ray={"address": cluster.address}, trials=12)
        process = start(profile)
        read(process, 3)
        cluster.remove_node(other, allow_graceful=False)
        said = process.communicate()[1]
        assert process.returncode == 0, said
        table = pd.read_csv(profile.results("tiny") / "trials.csv")
        assert list(table["trial"]) == list(range(12))
        assert set(table["state"]) <= {"complete", "pruned"}, said
    finally:
        cluster.shutdown()


@pytest.mark.gpu
def test_trials_share_a_gpu(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(), resources={"cpu": 1, "gpu": 0.5})
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    (profile.folder / "params.yaml").write_text(yaml.safe_dump({**params, "device": "cuda"}))
    result = sweep(config.load(profile.folder), "tiny")
    assert result["trials"]["failed"] == 0
    assert "cpu" not in result["device"]


@pytest.mark.slow
def test_trials_that_compile_do_not_clash(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(compile=True), trials=4)
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    params["sweeps"]["tiny"]["train"]["compile"] = True
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    begun = time.monotonic()
    result = sweep(config.load(profile.folder), "tiny")
    assert result["trials"]["failed"] == 0, time.monotonic() - begun
