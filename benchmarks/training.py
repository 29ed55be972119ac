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


def objective_of(recipe: Recipe, info: data.Info, network: nn.Module) -> Objective:
    """What a network is trained towards, on the processor."""
    objective: Objective = kinds.part(info.task, "objective").Objective(
        recipe, info, network, devices.precision(recipe.precision, CPU)
    )
    return objective


def our_loop(profile: Profile, name: str, steps: int) -> Callable[[], int]:
    """Some steps of an experiment's training in our loop, as a function that returns how many images they saw."""
    experiment = profile.experiment(name)
    recipe, folder = experiment.train, profile.processed(experiment.data)
    info = data.info(folder)
    torch.manual_seed(0)
    network = describe(profile, name, info, 0).build().to(memory_format=torch.channels_last)
    examples = Examples.of(kinds.part(info.task, "data").examples(data.Data(folder, "train")), CPU)
    objective = objective_of(recipe, info, network)
    updates = Updates(network, recipe, 10_000)

    def run_steps() -> int:
        network.train()
        rng = np.random.default_rng(0)
        for _, rows in zip(range(steps), batches(len(examples), recipe.batch_size, rng)):
            objective.step(*objective.draw(examples, rows, rng), updates)
        return steps * recipe.batch_size

    return run_steps


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root, "cnn")
    experiment = profile.experiment(name)
    recipe = experiment.train
    crop = recipe.augment.crop  # type: ignore[attr-defined]
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    split = data.Data(folder, "train")
    ours = our_loop(profile, name, STEPS)

    usual = describe(profile, name, info, 0).build()[1]  # type: ignore[index]
    optimizer = torch.optim.SGD(usual.parameters(), recipe.optimizer.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    transform = v2.Compose(
        [
            v2.RandomCrop(info.size, padding=crop, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(info.mean, info.std),
        ]
    )
    pictures = Pictures(split, transform)

    def theirs(workers: int) -> int:
        usual.train()
        loader: DataLoader[Any] = DataLoader(pictures, recipe.batch_size, shuffle=True, drop_last=True, num_workers=workers)
        for _, (inputs, labels) in zip(range(STEPS), loader):
            loss = torch.nn.functional.cross_entropy(usual(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return STEPS * recipe.batch_size

    return [
        compare(
            f"training_cnn_{'one_process' if workers == 0 else f'{workers}_workers'}",
            ours,
            lambda: theirs(workers),  # noqa: B023 (called within the iteration)
            unit="images",
            description=f"training of {profile.name}'s cnn: our loop against DataLoader({workers} workers), PIL transforms, fp32",
            floor=2.0,
            dataset=info.dataset,
        )
        for workers in (0, 2)
    ]
