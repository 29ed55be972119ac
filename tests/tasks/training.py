"""What `tasks.train` gives the training loop, for tests that call the loop themselves."""

from typing import NamedTuple

import torch
from torch import nn

from tasks import kinds
from tasks.common import devices
from tasks.datasets import data
from tasks.learning import pretrained
from tasks.learning.building import describe
from tasks.learning.objective import Objective
from tasks.learning.tensors import Examples
from tasks.profile import Profile

CPU = torch.device("cpu")


class Ready(NamedTuple):
    network: nn.Module
    train: Examples
    val: Examples
    objective: Objective


def examples(profile: Profile, name: str, split: data.Split) -> Examples:
    """A split of an experiment's data."""
    folder = profile.processed(profile.experiment(name).data)
    kind = kinds.part(data.info(folder).task, "data")
    return Examples.of(kind.examples(data.Data(folder, split)), CPU)


def ready(profile: Profile, name: str, seed: int = 0, predecessor: nn.Module | None = None) -> Ready:
    """An experiment's network as it begins, its data, and the objective of their kind."""
    experiment = profile.experiment(name)
    info = data.info(profile.processed(experiment.data))
    torch.manual_seed(seed)
    network = describe(profile, name, info, seed).build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if experiment.train.pretrained:
        pretrained.load(network, experiment.train.pretrained)
    precision = devices.precision(experiment.train.precision, CPU)
    objective = kinds.part(info.task, "objective").Objective(experiment.train, info, network, precision, predecessor)
    return Ready(network, examples(profile, name, "train"), examples(profile, name, "val"), objective)
