"""Validation that is measured every few epochs: what is kept, and when training stops, go by measured epochs alone."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.learning import loop
from tasks.profile import Profile
from tasks.train import train
from tests.tasks.learning.toy import Scripted, Stopped, examples, recipe, stop_after

MakeProfile = Callable[..., Profile]


def measured(run: loop.Run) -> list[float]:
    return [row["epoch"] for row in run.history if "val_loss" in row]


@pytest.mark.parametrize(
    ("epochs", "every", "expected"), [(5, 1, [1, 2, 3, 4, 5]), (6, 2, [2, 4, 6]), (7, 3, [3, 6, 7]), (2, 5, [2])]
)
def test_every_so_many_epochs_and_the_last_are_measured(epochs: int, every: int, expected: list[int]) -> None:
    objective = Scripted(recipe(epochs=epochs, measure_every=every), [1.0] * epochs)
    run = loop.fit(objective.network, examples(), examples(1), objective, 0)
    assert objective.measured == len(expected)
    assert measured(run) == expected
    assert len(run.history) == epochs
    assert all("train_loss" in row for row in run.history)
    assert run.val() == {"loss": 1.0}


def test_the_best_measured_epoch_is_kept() -> None:
    """Of epochs 2, 4, 6 and 7 it is the fourth, whose weights are those of a training of the same steps."""
    objective = Scripted(recipe(epochs=7, measure_every=2, keep="best", schedule={"name": "constant"}), [3.0, 1.0, 2.0, 1.5])
    kept: dict[str, torch.Tensor] = {}

    def remember(row: dict[str, float]) -> None:
        if row["epoch"] == 4:
            kept.update({name: tensor.clone() for name, tensor in objective.network.state_dict().items()})

    run = loop.fit(objective.network, examples(), examples(1), objective, 0, on_epoch=remember)
    assert (run.kept, run.val()) == (4, {"loss": 1.0})
    for name, tensor in objective.network.state_dict().items():
        assert torch.equal(tensor, kept[name]), name


def test_early_stopping_waits_for_measured_epochs() -> None:
    """Patience 2: the measures after that of epoch 4 are no better, in epochs 6 and 8."""
    stopping = {"metrics": ["loss"], "patience": 2}
    objective = Scripted(recipe(epochs=20, measure_every=2, early_stopping=stopping), [3.0, 1.0, 2.0, 1.5, 0.1])
    run = loop.fit(objective.network, examples(), examples(1), objective, 0)
    assert measured(run) == [2, 4, 6, 8]
    assert (run.epoch, run.waited) == (8, 2)


def test_a_resumed_training_measures_the_same_epochs(tmp_path: Path) -> None:
    settings = recipe(epochs=6, measure_every=4, keep="best")
    objective = Scripted(settings, [2.0, 1.0])
    with pytest.raises(Stopped):
        loop.fit(objective.network, examples(), examples(1), objective, 0, tmp_path / "a.pt", "f", on_epoch=stop_after(3))
    assert objective.measured == 0
    again = Scripted(settings, [2.0, 1.0])
    run = loop.fit(again.network, examples(), examples(1), again, 0, tmp_path / "a.pt", "f")
    assert measured(run) == [4, 6]
    assert run.kept == 6


def test_what_goes_by_every_epoch_is_refused() -> None:
    for changes in ({"schedule": {"name": "plateau"}}, {"parts": {"generator": {"schedule": {"name": "plateau"}}}}):
        with pytest.raises(ValueError, match="measure_every: the schedule plateau goes by every epoch's loss"):
            recipe(measure_every=2, **changes)


def test_the_history_has_empty_cells_and_is_drawn(make_profile: MakeProfile) -> None:
    profile = make_profile(epochs=5, measure_every=2)
    out = train(profile, "classes")
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["val_loss"] == row["val_accuracy"] == "" for row in rows] == [True, False, True, False, False]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert evaluate(profile, "classes")["epochs"] == 5
    assert (out / "plots" / "curves.png").stat().st_size > 1000


def test_select_names_a_metric_that_is_measured() -> None:
    objective = Scripted(recipe(keep="best", select="charm"), [1.0])
    with pytest.raises(Error, match=r"no validation metric 'charm' for train\.select or train\.early_stopping; allowed: loss"):
        loop.fit(objective.network, examples(), examples(1), objective, 0)
