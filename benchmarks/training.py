"""The training loop against the usual one: a torchvision data set, a DataLoader, PIL transforms, fp32, contiguous."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from benchmarks.timing import compare
from tasks import config, kinds
from tasks.common import devices
from tasks.datasets import data
from tasks.kinds.classify.data import labels as labels_of
from tasks.learning.building import describe
from tasks.learning.loop import batches
from tasks.learning.objective import Objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples
from tasks.params.recipe import Recipe
from tasks.profile import Profile

STEPS = 20
CPU = torch.device("cpu")


class Pictures(VisionDataset):
    """Images in memory, handed out as `torchvision.datasets.CIFAR10` does."""

    def __init__(self, split: data.Data, transform: Any) -> None:
        super().__init__(str(split.folder), transform=transform)
        self.data, self.labels = split.images, labels_of(split)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.data[index])), int(self.labels[index])


def prepared(root: Path, name: str) -> tuple[Profile, str]:
    """The full profile's experiment where CIFAR-10 is prepared, else the sample's on patches: images of the same size."""
    full = config.load(root / "full")
    ready = (full.processed("cifar10") / "dataset.json").exists()
    return (full, name) if ready else (config.load(root), name)


def objective_of(recipe: Recipe, info: data.Info, network: nn.Module, device: torch.device = CPU) -> Objective:
    """What a network is trained towards."""
    objective: Objective = kinds.part(info.task, "objective").Objective(
        recipe, info, network, devices.precision(recipe.precision, device)
    )
    return objective


def our_loop(
    profile: Profile, name: str, steps: int, folder: Path | None = None, device: torch.device = CPU
) -> Callable[[], int]:
    """Some steps of an experiment's training in our loop, as a function that returns how many images they saw.

    `folder`: prepared data to train on in place of the experiment's own.
    """
    experiment = profile.experiment(name)
    recipe, folder = experiment.train, folder or profile.processed(experiment.data)
    info = data.info(folder)
    torch.manual_seed(0)
    network = describe(profile, name, info, 0).build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    examples = Examples.of(kinds.part(info.task, "data").examples(data.Data(folder, "train")), device)
    objective = objective_of(recipe, info, network, device)
    updates = Updates(network, recipe, 10_000)

    def run_steps() -> int:
        network.train()
        rng = np.random.default_rng(0)
        for _, rows in zip(range(steps), batches(len(examples), recipe.batch_size, rng)):
            objective.step(*objective.draw(examples, rows, rng), updates)
        finished(device)
        return steps * recipe.batch_size

    return run_steps


def usual_loop(
    network: nn.Module, recipe: Recipe, folder: Path, steps: int, workers: int, device: torch.device = CPU
) -> Callable[[], int]:
    """The same number of steps in the usual loop: a DataLoader, PIL transforms, SGD, fp32, contiguous memory."""
    network.to(device)
    info = data.info(folder)
    optimizer = torch.optim.SGD(network.parameters(), recipe.optimizer.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    transform = v2.Compose(
        [
            v2.RandomCrop(info.size, padding=recipe.augment.crop or None, padding_mode="reflect"),  # type: ignore[attr-defined]
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(info.mean, info.std),
        ]
    )
    pictures = Pictures(data.Data(folder, "train"), transform)

    def run_steps() -> int:
        network.train()
        loader: DataLoader[Any] = DataLoader(pictures, recipe.batch_size, shuffle=True, drop_last=True, num_workers=workers)
        for _, (inputs, labels) in zip(range(steps), loader):
            loss = torch.nn.functional.cross_entropy(network(inputs.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        finished(device)
        return steps * recipe.batch_size

    return run_steps


def plain_network(profile: Profile, name: str, info: data.Info) -> nn.Module:
    """An experiment's network without the standardisation that ours begins with: the usual loop's transforms do it."""
    configuration = describe(profile, name, info, 0)
    network = configuration.build()
    return network[1] if configuration.mean else network  # type: ignore[index]


def finished(device: torch.device) -> None:
    """Wait for what a GPU was given to do: it works on while Python goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root, "cnn")
    experiment = profile.experiment(name)
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    ours = our_loop(profile, name, STEPS)
    usual = plain_network(profile, name, info)
    return [
        compare(
            f"training_cnn_{'one_process' if workers == 0 else f'{workers}_workers'}",
            ours,
            usual_loop(usual, experiment.train, folder, STEPS, workers),
            unit="images",
            description=f"training of {profile.name}'s cnn: our loop against DataLoader({workers} workers), PIL transforms, fp32",
            floor=2.0,
            dataset=info.dataset,
        )
        for workers in (0, 2)
    ]
