"""From an experiment to its network: what it is built from, how many parameters it has, and what it comes after."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import models
from tasks import kinds
from tasks.common import provenance
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.learning import loop, weights
from tasks.learning.checkpoint import Run
from tasks.learning.objective import check_parts
from tasks.params.experiment import NONE, Experiment
from tasks.profile import Profile


def describe(
    profile: Profile, name: str, info: data.Info, seed: int, experiment: Experiment | None = None
) -> weights.Configuration:
    """What the experiment's network is built from. `experiment`: one that stands in no params.yaml."""
    experiment = experiment or profile.experiment(name)
    standardised = getattr(kinds.find(info.task), "STANDARDISED", False) and not models.takes_raw_pixels(experiment.network)
    shape = kinds.part(info.task, "data").shape(info)
    return weights.Configuration(
        experiment=name,
        task=info.task,
        network=experiment.network,
        architecture=experiment.architecture,
        inputs=shape.inputs,
        outputs=shape.outputs,
        size=shape.size,
        extra=dict(shape.extra),
        classes=info.classes,
        mean=info.mean if standardised else None,
        std=info.std if standardised else None,
        seed=seed,
        git_commit=provenance.git_commit(profile.root),
        data_hash=info.hash,
        split=experiment.train.split,
    )


def check_budget(name: str, experiment: Experiment, info: data.Info) -> int:
    """The network's parameters, counted without making any.

    Raises Error where they are over `max_parameters`, and for a recipe of parts that the network does not have.
    """
    try:
        built = on_meta(experiment.network, experiment.architecture, info)
        check_parts(experiment.train, built)
    except ValueError as error:
        raise Error(f"experiments.{name}.{error}") from None
    parameters = models.count_parameters(built)
    budget = experiment.train.max_parameters
    if budget is not None and parameters > budget:
        raise Error(
            f"experiments.{name}.train.max_parameters: the network has {parameters:,} parameters, over its budget of {budget:,}"
        )
    return parameters


def on_meta(network: str, architecture: Mapping[str, Any], info: data.Info) -> nn.Module:
    """The network without its weights, for counting. Raises ValueError for one that cannot be built."""
    with torch.device("meta"):
        return models.build(network, kinds.part(info.task, "data").shape(info), architecture)


def count(network: str, architecture: Mapping[str, Any], info: data.Info) -> int:
    """A network's parameters, counted without making any. Raises ValueError for one that cannot be built."""
    return models.count_parameters(on_meta(network, architecture, info))


def predecessor(profile: Profile, experiment: Experiment) -> Path | None:
    """The weights of the experiment that this one comes after. Raises Error where they are not trained yet."""
    if experiment.after == NONE:
        return None
    path = profile.weights(experiment.after)
    if not path.is_file():
        raise Error(f"{path}: no such weights; train {experiment.after} first: dvc repro train@{experiment.after}")
    return path


def predecessor_network(path: Path, info: data.Info, split: str, device: torch.device) -> nn.Module:
    """The predecessor's network, for an experiment that learns from `split` (train, or train+val).

    Raises Error for one of other data, which may hold what is test data here, and for one that has seen this one's validation data.
    """
    network, configuration = weights.load(path, device)
    if configuration.data_hash != info.hash:
        again = f"train it again: dvc repro train@{configuration.experiment}"
        raise Error(f"{path}: trained on other data ({configuration.data_hash}, not {info.hash}); {again}")
    # What stands in params.yaml may be younger than the weights.
    if split == "train" and configuration.split != "train":
        raise Error(
            f"{path}: its network may have seen validation (split: {configuration.split}), so train.split must be train+val"
        )
    return network


def fitter(experiment: Experiment) -> Callable[..., Run]:
    """What trains the network: our loop, or a trainer of its own with the same contract."""
    trainer = models.trainer(experiment.network)
    fit: Callable[..., Run] = importlib.import_module(trainer).fit if trainer else loop.fit
    return fit


def pretrain(network: nn.Module, experiment: Experiment) -> str:
    """See `tasks.learning.pretrained.load`; found by its name, so that only experiments that begin at weights depend on its code."""
    if experiment.train.pretrained is None:
        return "none"
    origin: str = importlib.import_module("tasks.learning.pretrained").load(network, experiment.train.pretrained)
    return origin
