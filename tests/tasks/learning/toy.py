"""A made data set and a network of two parts that learn against each other, for tests of the training loop."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.datasets.data import Info
from tasks.learning.objective import Objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, to_float
from tasks.params.recipe import Recipe

INFO = Info(
    name="toy", dataset="toy", task="toy", origin="", licence="", size=4, channels=1, classes=(), counts={}, mean=(), std=(),
    skipped=0, hash="", settings={},
)  # fmt: skip
COUNT, BATCH = 24, 8


class Rivals(nn.Module):
    """A generator and a discriminator of vectors, with state of all kinds: batch norm, dropout, a penalty every third batch."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 16))
        self.discriminator = nn.Sequential(nn.Linear(16, 8), nn.LeakyReLU(), nn.Linear(8, 1))
        self.judged: list[int] = []  # batches on which the discriminator took a step
        self.made: list[int] = []
        self.penalised: list[int] = []

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def forward(self, noise: Tensor) -> Tensor:
        made: Tensor = self.generator(noise)
        return made

    def training_step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        real = inputs.flatten(1)
        noise = torch.randn(len(real), 4)
        scores = torch.cat([self.discriminator(real), self.discriminator(self.generator(noise).detach())])
        truth = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
        judged = F.binary_cross_entropy_with_logits(scores, truth)
        if updates.every(3):
            self.penalised.append(updates.batch)
            judged = judged + 0.1 * scores.square().mean()
        if updates.due("discriminator"):
            self.judged.append(updates.batch)
            updates["discriminator"](judged)
        fooled = F.binary_cross_entropy_with_logits(self.discriminator(self.generator(noise)), torch.ones(len(real), 1))
        if updates.due("generator"):
            self.made.append(updates.batch)
            updates["generator"](fooled)
        return {"loss": fooled, "judged": judged}


class Made(Objective):
    """Batches of the toy's images; on validation the distance of two means."""

    measured = 0

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        return to_float(data.images[rows]) + float(rng.normal()) * 0.01, rows

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        self.measured += 1
        network.eval()
        with torch.no_grad():
            made = network(torch.linspace(-1, 1, 32).view(8, 4))
        distance = (made.mean(0) - to_float(val.images).flatten(1).mean(0)).square().mean()
        return {"loss": float(distance), "charm": self.charm(distance)}

    def charm(self, distance: Tensor) -> float:
        return -float(distance)


class Scripted(Made):
    """Each measure gives the next of the values that it is told, as `loss`."""

    def __init__(self, recipe: Any, losses: list[float]) -> None:
        super().__init__(recipe, INFO, Rivals(), "fp32")
        self.losses = losses

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        network.eval()
        self.measured += 1
        return {"loss": self.losses[self.measured - 1]}


def recipe(**changes: Any) -> Recipe:
    """Momentum, a schedule by step: all that has a state."""
    known: dict[str, Any] = {"epochs": 5, "batch_size": BATCH, "loss": "any", "optimizer": {"name": "adam", "lr": 0.01}}
    return Recipe.model_validate({**known, **changes})


def examples(seed: int = 0) -> Examples:
    images = np.random.default_rng(seed).integers(0, 256, (COUNT, 4, 4, 1), np.uint8)
    return Examples({"images": torch.from_numpy(images)})


def rivals(seed: int = 0) -> Rivals:
    torch.manual_seed(seed)
    return Rivals()


def copied(network: nn.Module) -> Mapping[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


Stop = Callable[[dict[str, float]], None]


class Stopped(Exception):
    """Ends a training as a signal would."""


def stop_after(epoch: int) -> Stop:
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise Stopped

    return stop
