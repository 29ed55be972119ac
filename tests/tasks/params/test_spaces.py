from collections.abc import Callable
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import config
from tasks.common.errors import Error
from tasks.params.spaces import Domain, replaced
from tasks.profile import Profile
from tests.conftest import ROOT
from tests.sweeps import block, made, with_sweep

MakeProfile = Callable[..., Profile]


@settings(deadline=None, max_examples=20)
@given(low=st.integers(-50, 50), width=st.integers(2, 60), step=st.integers(1, 3), seed=st.integers(0, 99))
def test_whole_numbers_arrive_as_whole_numbers_on_their_step(low: int, width: int, step: int, seed: int) -> None:
    step = min(step, width)
    domain = Domain.model_validate({"int": [low, low + width], "step": step})
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    value = domain.suggest(trial, "x")
    assert type(value) is int
    assert low <= value <= low + width
    assert (value - low) % step == 0
    assert domain.contains(value)
    assert not domain.contains(float(value))


def test_log_ranges_and_choices_give_what_the_yaml_says() -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    assert type(Domain.model_validate({"int": [8, 512], "log": True}).suggest(trial, "a")) is int
    assert type(Domain.model_validate({"float": [1, 512], "log": True}).suggest(trial, "b")) is float
    lists = Domain.model_validate({"choice": [[8, 16], [16, 32]]})
    assert lists.suggest(trial, "c") in [[8, 16], [16, 32]]
    assert Domain.model_validate({"choice": [True]}).suggest(trial, "d") is True


@pytest.mark.parametrize(
    ("key", "domain", "says"),
    [
        ("train.optimizer.lr", {"float": [0.1, 0.01]}, ["train.optimizer.lr", "empty or inverted", "0.1 is not below 0.01"]),
        ("architecture.widths.0", {"int": [8, 8]}, ["architecture.widths.0", "empty or inverted"]),
        ("architecture.widths.0", {"int": [8.5, 16]}, ["architecture.widths.0", "8.5"]),
        ("train.batch_size", {"choice": []}, ["train.batch_size", "empty list"]),
        ("train.batch_size", {"choices": [8]}, ["train.batch_size", "a domain is", "choices"]),
        ("train.optimizer.lr", {"float": [0, 1], "log": True}, ["train.optimizer.lr", "above 0"]),
        ("architecture.width", {"int": [8, 16]}, ["architecture.width", "cnn takes widths"]),
        ("architecture.widths.7", {"int": [8, 16]}, ["architecture.widths.7", "7 is not a place"]),
        ("architecture.pools.0", {"int": [-3, "x"]}, ["architecture.pools.0"]),
        ("train.optimiser.lr", {"float": [0.1, 1]}, ["train.optimiser: unknown key", "did you mean optimizer"]),
        ("train.optimizer.momentum", {"float": [0.5, 1.5]}, ["train.optimizer.momentum", "less than 1"]),
        ("train.epochs", {"int": [1, 4]}, ["train.epochs", "ASHA counts in epochs"]),
        ("epochs", {"int": [1, 4]}, ["space.epochs", "starts with architecture. or train."]),
    ],
)
def test_a_wrong_space_is_refused_with_its_key(
    make_profile: MakeProfile, key: str, domain: dict[str, Any], says: list[str]
) -> None:
    with pytest.raises(Error) as caught:
        with_sweep(make_profile(), space={key: domain})
    for text in ["sweeps.tiny", *says]:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"objective": {"name": "smallest"}}, ["objective", "needs one"]),
        ({"objective": {"name": "fastest"}}, ["objective.name", "smallest"]),
        ({"scheduler": {"grace": 9}}, ["scheduler.grace", "more than train.epochs"]),
        ({"scheduler": {"grce": 1}}, ["scheduler.grce", "did you mean grace"]),
        ({"network": "cnm"}, ["did you mean cnn"]),
        ({"data": "tiny-clases"}, ["sweeps.tiny.data", "did you mean tiny-classes"]),
        ({"resources": {"gpu": 1.5}}, ["resources", "a fraction is below 1"]),
        ({"trials": 0}, ["sweeps.tiny.trials"]),
    ],
)
def test_a_wrong_sweep_is_refused_with_its_key(make_profile: MakeProfile, changes: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(Error) as caught:
        with_sweep(make_profile(), **changes)
    for text in says:
        assert text in str(caught.value)


def test_a_winner_is_an_experiment_whose_recipe_may_change(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile())
    assert [*profile.params.experiments] == ["classes", "found", "pairs"]
    with pytest.raises(Error, match="dvc repro sweep@tiny"):
        profile.experiment("found")
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    params["experiments"]["found"]["train"] = {"epoch": 3}
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(Error, match=r"experiments\.found\.train\.epoch: unknown key; did you mean epochs"):
        config.load(profile.folder)
    params["experiments"]["found"]["train"] = {}
    params["sweeps"]["classes"] = params["sweeps"]["tiny"]
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(Error, match="classes: the name of two"):
        config.load(profile.folder)


def test_the_blocks_own_values_come_first_where_they_lie_in_the_space() -> None:
    sweep = made()
    assert sweep.base() == {"architecture.widths.0": 8, "train.optimizer.lr": 0.01}
    assert made(architecture={"widths": [5, 8]}).base() == {}


def test_one_place_is_changed_and_the_rest_is_left() -> None:
    values = {"a": {"b": [1, 2, 3]}, "c": 4}
    assert replaced(values, "a.b.1", 9) == {"a": {"b": [1, 9, 3]}, "c": 4}
    assert values == {"a": {"b": [1, 2, 3]}, "c": 4}


def test_the_tuned_classifier_can_be_swept() -> None:
    text = (
        (ROOT / "CONTRIBUTING.md")
        .read_text()
        .split("such as for the tuned classifier:\n\n")[1]
        .split("```")[1]
        .removeprefix("yaml\n")
    )
    recipe = {"batch_size": 128, "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.02}}
    sweep = made(**yaml.safe_load(text), train=block()["train"] | recipe)
    assert set(sweep.base()) == set(sweep.space)
