"""Sweeps in Ray, for real."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
import yaml

from tasks import config
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.evaluate import evaluate
from tasks.profile import Profile
from tasks.report import report
from tasks.sweep import sweep
from tasks.train import train
from tests.sweeps import with_sweep

MakeProfile = Callable[..., Profile]
TRIALS = 8


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
    front = pd.read_csv(folder / "tables" / "front.csv")
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


@pytest.mark.slow
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
@pytest.mark.timeout(1800)
def test_trials_that_compile_do_not_clash(make_profile: MakeProfile) -> None:
    # Compiling takes minutes on a busy machine.
    profile = with_sweep(make_profile(compile=True), trials=4, time_budget=1800)
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    params["sweeps"]["tiny"]["train"]["compile"] = True
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    begun = time.monotonic()
    result = sweep(config.load(profile.folder), "tiny")
    assert result["trials"]["failed"] == 0, time.monotonic() - begun
