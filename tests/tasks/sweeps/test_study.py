"""The study without Ray: what is drawn, refused, compared and remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.common.errors import Error
from tasks.datasets import data
from tasks.profile import Profile
from tasks.sweeps import tables
from tasks.sweeps.driver import Conductor
from tasks.sweeps.study import Study, startup
from tasks.sweeps.trial import Trial
from tests.sweeps import block, made

MakeProfile = Callable[..., Profile]


@pytest.fixture
def info(make_profile: MakeProfile) -> data.Info:
    return data.info(make_profile().processed("tiny-classes"))


@pytest.fixture
def make(tmp_path: Path, info: data.Info) -> Callable[..., Study]:
    def make(folder: str = "study", **changes: Any) -> Study:
        return Study(tmp_path / folder, made(**changes), info)

    return make


MakeStudy = Callable[..., Study]


def loss(trial: Trial, epoch: int) -> float:
    """A landscape in which larger networks and rates near 0.01 lose less."""
    rate = trial.sampled["train.optimizer.lr"]
    return 1 / epoch + 100 / trial.parameters + abs(rate - 0.01) * 10


def conduct(study: Study, most: int = 99) -> list[tuple[int, dict[str, Any], str, int]]:
    """Run trials one at a time through the conductor, as Tune would; what each was, and how it ended."""
    conductor = Conductor(study, lambda trial: None, 1, lambda trial: None)  # type: ignore[arg-type,return-value]
    ended = []
    while len(ended) < most and (trial := conductor.waiting.pop(0) if conductor.waiting else study.ask()):
        conductor.asha.admit(trial.number)
        conductor.live["x"] = trial.number
        for epoch in range(len(trial.rows) + 1, study.sweep.train.epochs + 1):
            row = {"epoch": epoch, "lr": 0.1, "seconds": float(epoch), "val_loss": loss(trial, epoch)}
            if conductor.hear("x", row):
                break
        else:
            conductor.end("x", False)
        assert conductor.fatal is None
        ended.append((trial.number, trial.sampled, trial.state, len(trial.rows)))
    return ended


TRAIN = {**block()["train"], "epochs": 8}


@pytest.mark.parametrize(
    "objective",
    [
        {"name": "loss"},
        pytest.param({"name": "smallest", "bound": 0.6}, marks=pytest.mark.slow),
        {"name": "efficiency", "bound": 0.6},
        {"name": "pareto"},
    ],
    ids=lambda objective: objective["name"],
)
def test_a_study_that_is_opened_again_draws_and_stops_as_one_that_was_never_closed(
    make: MakeStudy, objective: dict[str, Any]
) -> None:
    space = {**block()["space"], "architecture.widths.0": {"int": [4, 64]}}
    changes = {"trials": 14, "objective": objective, "train": TRAIN, "space": space}
    whole = conduct(make("whole", **changes))
    parts = []
    while ended := conduct(make("parts", **changes), most=5):
        parts += ended
    assert parts == whole
    assert {state for _, _, state, _ in whole} >= {"complete"}
    table = tables.trials(make("parts", **changes))
    assert len(table) > startup(14), "past the random draws"
    assert list(table["trial"]) == list(range(len(table)))
    assert set(table["state"]) <= {"complete", "pruned", "infeasible"}


def test_asha_stops_some_and_rungs_survive(make: MakeStudy) -> None:
    changes = {"trials": 12, "train": TRAIN, "scheduler": {"grace": 1, "reduction": 2, "brackets": 2}}
    ended = conduct(make(**changes))
    assert {state for _, _, state, _ in ended} == {"complete", "pruned"}
    first, again = (Conductor(make(**changes), None, 1, lambda trial: None).asha for _ in range(2))  # type: ignore[arg-type]
    assert [b._rungs for b in first._brackets] == [b._rungs for b in again._brackets]
    assert any(recorded for _, recorded in first._brackets[0]._rungs)


def test_a_trial_that_was_killed_goes_on_where_it_was(make: MakeStudy) -> None:
    study = make(train=TRAIN)
    trial = study.ask()
    assert trial is not None
    for epoch in (1, 2):
        study.report(trial.number, {"epoch": epoch, "seconds": 1.0, "val_loss": 1 / epoch})
    again = make(train=TRAIN)
    (running,) = again.running()
    assert (running.number, running.sampled, len(running.rows)) == (trial.number, trial.sampled, 2)
    assert not again.report(0, {"epoch": 2, "seconds": 1.0, "val_loss": 0.5}), "known"
    assert again.trained == 1


@pytest.mark.parametrize("number", [0, 2, 6])
def test_a_trial_that_was_killed_while_it_was_drawn_is_drawn_to_its_end(make: MakeStudy, number: int) -> None:
    """The first, with the block's own values, one of the random phase, and one that the sampler draws."""
    space = {"architecture.widths.0": {"int": [4, 64]}, "train.optimizer.lr": {"float": [0.001, 0.1], "log": True}}
    changes = {"trials": 9, "train": TRAIN, "space": space}
    wholes = []
    for name in ("whole", "killed"):
        study = make(name, **changes)
        for value in range(number):
            trial = study.ask()
            assert trial is not None
            for epoch in range(1, TRAIN["epochs"] + 1):
                study.report(trial.number, {"epoch": epoch, "seconds": 1.0, "val_loss": 1 / (1 + value)})
            study.finish(trial.number, "complete")
        if name == "whole":
            trial = study.ask()
        else:
            study.optuna.sampler = study._sampler(number)
            study.sweep.space["architecture.widths.0"].suggest(study.optuna.ask(), "architecture.widths.0")
            (trial,) = make(name, **changes).running()
        assert trial is not None
        wholes.append(trial.sampled)
    assert wholes[0] == wholes[1]


def test_a_trial_that_was_stopped_but_not_written_down_stays_stopped(make: MakeStudy) -> None:
    study = make(train=TRAIN)
    for number, value in enumerate((0.1, 0.2, 9.0)):
        trial = study.ask()
        assert trial is not None
        study.report(trial.number, {"epoch": 1, "seconds": 1.0, "val_loss": value})
        assert trial.number == number
    conductor = Conductor(make(train=TRAIN), None, 1, lambda trial: None)  # type: ignore[arg-type]
    assert [trial.state for trial in conductor.study.trials] == ["running", "pruned", "pruned"]


def test_networks_over_the_budget_are_not_trained_and_the_sampler_is_told(make: MakeStudy) -> None:
    space = {"architecture.widths.0": {"int": [4, 64], "step": 4}, "architecture.widths.1": {"int": [4, 64], "step": 4}}
    study = make(space=space, trials=6, train={**TRAIN, "max_parameters": 2000})
    for _ in range(6):
        trial = study.ask()
        assert trial is not None
        assert trial.parameters <= 2000
        study.report(trial.number, {"epoch": 1, "seconds": 1.0, "val_loss": 1.0})
        study.finish(trial.number, "pruned")
    assert study.ask() is None
    refused = study.of("infeasible")
    assert refused
    assert all(trial.parameters > 2000 and "over the budget of 2,000" in trial.error and not trial.rows for trial in refused)
    told = {trial.number: trial.constraints for trial in study.optuna.get_trials()}
    assert all(told[trial.number]["parameters"] > 0 for trial in refused)


def test_a_space_without_a_network_within_the_budget_is_an_error(make: MakeStudy) -> None:
    with pytest.raises(Error, match=r"none of 200 draws can be trained.*over the budget of 10"):
        make(train={**TRAIN, "max_parameters": 10}).ask()


def test_of_smallest_what_is_not_smaller_than_the_best_is_not_trained(make: MakeStudy) -> None:
    study = make(objective={"name": "smallest", "bound": 0.5}, trials=20)
    sizes = []
    while trial := study.ask():
        sizes.append(trial.parameters)
        study.report(trial.number, {"epoch": 2 - 1, "seconds": 1.0, "val_loss": 0.4})
        study.finish(trial.number, "complete")
    assert sizes == sorted(set(sizes), reverse=True)
    best = study.best()
    assert best is not None
    assert best.parameters == sizes[-1]


def finished(study: Study, values: list[tuple[int, float]]) -> Study:
    """Trials with given parameters and losses."""
    for trial, (parameters, value) in zip([study.ask() for _ in values], values):
        assert trial is not None
        trial.parameters = parameters
        study.report(trial.number, {"epoch": 1, "seconds": 1.0, "val_loss": value})
        study.finish(trial.number, "complete")
    return study


VALUES = [(100, 0.9), (200, 0.5), (300, 0.45), (400, 0.2), (500, 0.3)]


@pytest.mark.parametrize(
    ("objective", "winner"),
    [
        ({"name": "loss"}, 400),
        ({"name": "smallest", "bound": 0.5}, 200),
        ({"name": "efficiency", "bound": 0.5}, 400),
        ({"name": "pareto", "bound": 0.46}, 300),
        ({"name": "pareto"}, 400),
        ({"name": "efficiency", "bound": 0.1}, 400),
    ],
)
def test_the_winner_of_each_objective(make: MakeStudy, objective: dict[str, Any], winner: int) -> None:
    study = finished(make(objective=objective, trials=5), VALUES)
    assert study.winner().parameters == winner
    assert [trial.parameters for trial in study.front()] == [100, 200, 300, 400]
    assert (study.best() is None) == (objective.get("bound") == 0.1), "an efficiency outside the bound does not count"


def test_small_networks_are_not_stopped_for_being_small(make: MakeStudy) -> None:
    study = make(objective={"name": "pareto"}, trials=5)
    for parameters, value in VALUES:
        trial = study.ask()
        assert trial is not None
        trial.parameters = parameters
        study.report(trial.number, {"epoch": 1, "seconds": 1.0, "val_loss": value})
    assert [study.rank(number, 1) for number in range(5)] == [0, 0, 0, 0, 1]


def test_a_line_that_was_cut_off_is_dropped(make: MakeStudy, tmp_path: Path) -> None:
    study = finished(make(trials=3), VALUES[:2])
    path = tmp_path / "study" / "study.jsonl"
    with path.open("ab") as file:
        file.write(b'{"op_code":8,"worker')
    again = make(trials=3)
    known = ["trial", "state", "val_loss", "epochs", *study.sweep.space]
    assert tables.trials(again)[known].equals(tables.trials(study)[known])
    assert again.ask() is not None
    assert len(make(trials=3).trials) == 3


def test_a_loss_that_is_no_number_is_a_failure(make: MakeStudy) -> None:
    study = make()
    trial = study.ask()
    assert trial is not None
    study.report(trial.number, {"epoch": 1, "seconds": 1.0, "val_loss": float("nan")})
    assert study.finish(trial.number, "complete").state == "failed"
    with pytest.raises(Error, match="none of 1 trials ran to its end"):
        study.winner()
