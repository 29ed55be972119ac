"""What a kind of task asks of a network, as the training loop is given it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.datasets.data import Info
from tasks.learning import augment
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, autocast, predict, to_float
from tasks.params.recipe import Recipe


class Objective(ABC):
    """Batches of a kind's data, a step on each, and how well the network does on validation.

    `falling`: the validation metrics of which less is better.
    """

    falling: frozenset[str] = frozenset({"loss"})

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        """`precision`: bf16 or fp32. `predecessor`: the trained network that the experiment comes after, in evaluation mode."""
        self.recipe, self.info, self.network = recipe, info, network
        self.precision, self.predecessor = precision, predecessor

    def begin(self, train: Examples, seed: int, epoch: int) -> None:  # noqa: B027
        """Prepare an epoch's version of the data, where there is more to it than drawing batches."""

    @abstractmethod
    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Any]:
        """An augmented batch: inputs of the network, and targets."""

    @abstractmethod
    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        """The loss and the metrics on validation."""

    def picture(self, network: nn.Module, val: Examples) -> np.ndarray | None:
        """What an epoch is shown by, uint8 (H, W, C); None for a kind that shows nothing."""
        return None

    def step(self, inputs: Tensor, targets: Any, updates: Updates) -> dict[str, Tensor]:
        """Take one step on a batch, and return what is averaged over the epoch and recorded.

        Here: the step that the network itself has (`training_step`), under autocast.
        """
        with autocast(inputs.device, self.precision):
            values = self.network.training_step(inputs, targets, updates)  # type: ignore[operator]
        return {name: value.detach().float() for name, value in values.items()}


class OneLoss(Objective):
    """One loss between the network's outputs and targets, unless the network has a step of its own."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor: ...

    @abstractmethod
    def targets(self, raw: Tensor) -> Tensor:
        """The form of the targets that `loss` takes, and that images can be blended in."""

    @abstractmethod
    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]: ...

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Float inputs (B, C, H, W) and the targets that `loss` takes."""
        recipe, (height, width) = self.recipe.augment, data.images.shape[1:3]
        geometry = augment.Geometry(recipe, rows, (height, width), rng)
        inputs = augment.colours(recipe, to_float(geometry(data.images)), rng)
        raw = geometry(data.targets) if data.targets.ndim == 4 else data.targets[rows.to(data.targets.device)]
        targets = self.targets(raw)
        if recipe.mixup:
            inputs, targets = augment.mixup(recipe.mixup, inputs, targets, rng)
        return inputs, targets

    def step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        if hasattr(self.network, "training_step"):
            return super().step(inputs, targets, updates)
        with autocast(inputs.device, self.precision):
            outputs = self.network(inputs)
        loss = self.loss(outputs, targets)
        updates["network"](loss)
        return {"loss": loss.detach()}

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        outputs = predict(network, val.images, precision=self.precision)
        return self.metrics(torch.from_numpy(outputs).to(val.device), val.targets)


def check_parts(recipe: Recipe, network: nn.Module) -> None:
    """Raises ValueError for a recipe that names parts which the network does not have."""
    parts = [*network.parts()] if hasattr(network, "parts") else ["network"]  # type: ignore[operator]
    for key, named in (("parts", recipe.parts), ("ema_parts", recipe.ema_parts)):
        if unknown := [name for name in named if name not in parts]:
            raise ValueError(f"train.{key}: the network has no part {', '.join(unknown)}; allowed: {', '.join(parts)}")
