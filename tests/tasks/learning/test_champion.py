"""The alias of a sweep's registered model moves to what is better on the same data, and to nothing else."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.learning import tracking, weights
from tasks.learning.champion import Trial
from tasks.profile import Profile
from tests.tasks.learning.test_tracking import IMAGES, NETWORKS, TINY

ALIAS = "champion"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = weights.Configuration.model_validate({**TINY, "task": "classify", **NETWORKS["classify"]})
    path = tmp_path_factory.mktemp("network") / "weights.safetensors"
    weights.save(path, configuration.build().eval(), configuration)
    return path


@pytest.fixture
def win(make_profile: Callable[..., Profile], network: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Register a sweep's winner as `tasks.sweep` does, and return its version's number."""
    profile, name = make_profile(), request.node.name.replace("[", "-").rstrip("]")

    def register(
        losses: list[float], parameters: int = 100, data: str = "0", accuracy: list[float] | None = None, **settings: Any
    ) -> str:
        settings = {"objective": {"name": "loss"}, "train": {"keep": "last", "select": "loss"}, **settings}
        with tracking.run(profile, name, name, settings, {"data_hash": data}) as parent:
            pass
        with tracking.run(profile, name, "trial", {}, {"mlflow.parentRunId": parent.id}) as run:
            run.log_metrics({"parameters": parameters})
            for epoch, loss in enumerate(losses, 1):
                run.log_metrics({"val_loss": loss, **({"val_accuracy": accuracy[epoch - 1]} if accuracy else {})}, epoch)
            run.log_model(network, IMAGES)
            run.register(name, ALIAS)
        return champion()

    def champion() -> str:
        return str(tracking.connect(profile.root).get_model_version_by_alias(name, ALIAS).version)

    return register


def test_it_moves_only_to_what_is_better_on_the_same_data(win: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    assert win([0.9, 0.5]) == "1"
    with caplog.at_level(logging.WARNING):
        assert win([0.1, 0.6]) == "1", "the epoch that is kept is the last one"
    assert "version 1 of MLflow's model stays its champion, not version 2: it is no better on the same data" in caplog.text
    assert win([0.5]) == "1", "as good is not better"
    assert win([0.1], data="1") == "1", "that it learned from other data"
    assert "version 4: it learned from other data" in caplog.text
    assert win([0.4]) == "5"
    client = tracking.connect(Path())
    (model,) = client.search_registered_models("name LIKE 'test_it_moves%'")
    assert "champion stays version 1" in client.get_model_version(model.name, "2").description
    assert not client.get_model_version(model.name, "5").description


@pytest.mark.parametrize(
    ("objective", "worse", "better"),
    [
        ({"name": "smallest", "bound": 1.0}, {"losses": [1.1], "parameters": 1}, {"losses": [0.9], "parameters": 99}),
        ({"name": "accuracy"}, {"losses": [0.1], "accuracy": [0.5]}, {"losses": [2.0], "accuracy": [0.7]}),
    ],
    ids=lambda value: value.get("name", "") if isinstance(value, dict) else None,
)
def test_better_is_what_the_sweep_is_after(
    win: Callable[..., str], objective: dict[str, Any], worse: dict[str, Any], better: dict[str, Any]
) -> None:
    assert win([0.5], accuracy=[0.6], objective=objective) == "1"
    assert win(**{"accuracy": [0.0], **worse}, objective=objective) == "1"
    assert win(**{"accuracy": [0.0], **better}, objective=objective) == "3"


def test_the_epoch_that_counts_is_the_one_that_was_kept(win: Callable[..., str]) -> None:
    best = {"train": {"keep": "best", "select": "loss"}}
    assert win([0.9, 0.5]) == "1"
    assert win([0.4, 0.6], **best) == "2"
    assert win([0.45, 0.43], **best) == "2"


def test_a_champion_whose_run_was_deleted_holds_nothing(win: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert win([0.1]) == "1"
    monkeypatch.setattr(tracking, "_find", lambda client, run: None)
    assert win([0.9]) == "2"


NUMBERS = st.floats(0.01, 10)


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 10**6)), min_size=2, max_size=2), NUMBERS)
def test_costs_order_trials_as_the_study_does(pairs: list[tuple[float, int]], bound: float) -> None:
    """What is within the bound comes before what is not; of two within it the objective counts, of two outside the loss."""
    one, other = (Trial("0", {}, {"loss": loss}, parameters) for loss, parameters in pairs)
    within = [trial for trial in (one, other) if trial.kept["loss"] <= bound]
    for objective, measure in (
        ("smallest", lambda trial: trial.parameters),
        ("efficiency", lambda trial: trial.kept["loss"] * trial.parameters),
    ):
        settings = {"objective.name": objective, "objective.bound": str(bound)}
        best = min((one, other), key=lambda trial: trial.cost(settings))
        among = within or [one, other]
        key = measure if within else lambda trial: trial.kept["loss"]
        assert key(best) == min(key(trial) for trial in among)
        assert np.isfinite(best.cost(settings)[1])
