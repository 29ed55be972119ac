"""Benchmarks take hours; what they call is here, and a step of them runs."""

import importlib
from collections.abc import Callable

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import sweeps
from benchmarks.training import our_loop
from tasks.profile import Profile
from tests.conftest import ROOT

FILES = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "__main__"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_every_benchmark_is_on_the_list_and_can_be_run() -> None:
    found = {name for name in FILES if hasattr(importlib.import_module(f"benchmarks.{name}"), "run")}
    assert found == set(benchmarks.BENCHMARKS)


@pytest.mark.parametrize("experiment", ["classes", "pairs"])
def test_a_step_of_our_loop_trains(make_profile: Callable[..., Profile], experiment: str) -> None:
    batch = make_profile().experiment(experiment).train.batch_size
    assert our_loop(make_profile(), experiment, 1)() == batch
    assert our_loop(make_profile(), experiment, 2)() == 2 * batch


def test_the_sweep_of_the_benchmark_fits_the_sample() -> None:
    sweep = sweeps.with_sweep(ROOT, trials=3).sweep("bench")
    assert (sweep.trials, sweep.train.epochs) == (3, sweeps.EPOCHS)
