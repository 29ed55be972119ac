import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.evaluate import evaluate
from flows.links import PAGE
from flows.train import new_folder, parse, train
from tasks.common.errors import Error
from tasks.learning import tracking
from tasks.profile import Profile

MakeProfile = Callable[..., Profile]


@pytest.mark.usefixtures("prefect")
def test_a_run_on_demand_is_trained_and_evaluated_in_a_folder_of_its_own(
    make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = make_profile()
    monkeypatch.setenv(PAGE, "http://127.0.0.1:5000")
    folder = train("classes", str(profile.folder), {"train": {"epochs": 1}})
    run = tracking.connect(profile.root).get_run(json.loads((folder / "training.json").read_text())["mlflow_runs"]["0"])
    with get_client(sync_client=True) as client:
        key = ArtifactFilterKey(any_=["mlflow-classes-seed-0"])
        linked = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))[-1]
    assert f"http://127.0.0.1:5000/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" in str(linked.data)
    assert folder.parent == profile.root / "runs"
    assert json.loads((folder / "training.json").read_text())["epochs"] == 1
    assert (folder / "weights" / "seed-0.safetensors").exists()
    assert json.loads((folder / "overrides.json").read_text()) == {"train": {"epochs": 1}}

    result = evaluate("classes", str(profile.folder), str(folder))
    assert 0 <= result["metrics"]["accuracy"] <= 1
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == result["metrics"]
    assert not (profile.folder / "results").exists(), "what a stage makes is left alone"
    assert not (profile.folder / "data" / "evaluated").exists()


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("experiment", "overrides", "message"),
    [
        ("clases", None, "did you mean classes"),
        ("clases", {"train": {"epochs": 1}}, "did you mean classes"),
        ("classes", {"train": {"epoch": 1}}, "did you mean epochs"),
    ],
)
def test_a_wrong_name_is_refused_before_any_work(
    make_profile: MakeProfile, experiment: str, overrides: dict[str, Any] | None, message: str
) -> None:
    profile = make_profile()
    with pytest.raises(Error, match=message):
        train(experiment, str(profile.folder), overrides)
    assert not (profile.root / "runs").exists()


@pytest.mark.usefixtures("prefect")
def test_a_folder_that_no_training_wrote_is_refused(make_profile: MakeProfile, tmp_path: Path) -> None:
    with pytest.raises(Error, match="not a folder of the train flow"):
        evaluate("classes", str(make_profile().folder), str(tmp_path))


def test_changes_on_the_command_line_are_nested() -> None:
    changes = ["train.epochs=3", "train.optimizer.lr=0.5", "seeds=[1, 2]"]
    assert parse(changes) == {"train": {"epochs": 3, "optimizer": {"lr": 0.5}}, "seeds": [1, 2]}
    with pytest.raises(Error, match="not KEY=VALUE"):
        parse(["train.epochs"])


def test_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    made = [new_folder(tmp_path / "runs", "cnn-20260101-120000", end) for end in ("", "", "-evaluate", "", "-evaluate")]
    assert [path.name for path in made] == [
        "cnn-20260101-120000",
        "cnn-20260101-120000-2",
        "cnn-20260101-120000-evaluate",
        "cnn-20260101-120000-3",
        "cnn-20260101-120000-2-evaluate",
    ]
    assert all(path.is_dir() for path in made)
