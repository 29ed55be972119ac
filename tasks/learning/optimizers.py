"""Optimisers and schedules by name, and the step that takes both."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from tasks.params.recipe import Optimizer, Part, Recipe
from tasks.params.recipe import Schedule as Settings


def make_optimizer(network: nn.Module, recipe: Optimizer) -> torch.optim.Optimizer:
    """The named optimiser; weights of two dimensions or more decay, biases and norms do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    match recipe.name:
        case "sgd":
            return torch.optim.SGD(groups, recipe.lr)
        case "momentum":
            return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum)
        case "nesterov":
            return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, recipe.lr)
        case "adam":
            return torch.optim.Adam(groups, recipe.lr, betas=(recipe.momentum, recipe.momentum_squared))
        case "adamw":
            return torch.optim.AdamW(groups, recipe.lr, betas=(recipe.momentum, recipe.momentum_squared))


class Schedule:
    """The named learning-rate schedule, told of every step and every epoch."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Settings, highest: float, total: int) -> None:
        """`highest`: the highest learning rate; `total`: how many steps there will be."""
        self.by_step: lr_scheduler.LRScheduler | None = None
        self.by_epoch: lr_scheduler.LRScheduler | None = None
        match schedule.name:
            case "one-cycle":
                # A rise that is over with the first step is none: torch would divide by its length.
                warmup = 0.0 if schedule.warmup * total == 1 else schedule.warmup
                self.by_step = lr_scheduler.OneCycleLR(optimizer, highest, total, pct_start=warmup, cycle_momentum=False)
            case "cosine":
                self.by_step = lr_scheduler.CosineAnnealingLR(optimizer, total)
            case "step":
                self.by_epoch = lr_scheduler.StepLR(optimizer, schedule.every, schedule.gamma)
            case "plateau":
                self.by_epoch = lr_scheduler.ReduceLROnPlateau(optimizer, factor=schedule.gamma, patience=schedule.every)

    def step(self) -> None:
        if self.by_step:
            self.by_step.step()

    def epoch(self, loss: float | None) -> None:
        if isinstance(self.by_epoch, lr_scheduler.ReduceLROnPlateau):
            assert loss is not None
            self.by_epoch.step(loss)
        elif self.by_epoch:
            self.by_epoch.step()

    def state_dict(self) -> dict[str, Any]:
        schedule = self.by_step or self.by_epoch
        return schedule.state_dict() if schedule else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if schedule := self.by_step or self.by_epoch:
            schedule.load_state_dict(state)


class Update:
    """One optimiser of a part of the network, with its schedule: call it with a loss to take a step."""

    def __init__(self, part: nn.Module, recipe: Part, steps: int) -> None:
        """`steps`: batches in the whole training."""
        assert recipe.optimizer is not None
        assert recipe.schedule is not None
        self.part, self.clip, self.every = part, recipe.clip, recipe.every
        self.optimizer = make_optimizer(part, recipe.optimizer)
        self.schedule = Schedule(self.optimizer, recipe.schedule, recipe.optimizer.lr, -(-steps // recipe.every))

    def __call__(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        # The types of the backward pass are those of the forward pass; autocast has no part in it.
        with torch.autocast(loss.device.type, enabled=False):
            loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.part.parameters(), self.clip)
        self.optimizer.step()
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


class Updates(dict[str, Update]):
    """What learns, by name: the network with one optimiser, unless its `parts()` name the modules that have one each.

    `batch`: how many batches came before this one, in all epochs. A step of training that does something every n batches, such as a
    penalty on gradients, asks `every(n)`; a part whose recipe has an interval takes its step where `due(name)` says so.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, steps: int) -> None:
        """`steps`: batches an epoch."""
        parts: dict[str, nn.Module] = network.parts() if hasattr(network, "parts") else {"network": network}  # type: ignore[operator]
        super().__init__({name: Update(part, recipe.of_part(name), recipe.epochs * steps) for name, part in parts.items()})
        self.batch = 0

    def every(self, interval: int) -> bool:
        """Whether this batch is one of every `interval`, the first among them."""
        return self.batch % interval == 0

    def due(self, name: str) -> bool:
        """Whether a part takes a step on this batch."""
        return self.every(self[name].every)

    @property
    def lr(self) -> float:
        """Of the first part; 0 where nothing is learned."""
        return next((float(update.optimizer.param_groups[0]["lr"]) for update in self.values()), 0.0)

    def epoch(self, loss: float | None) -> None:
        """Tell the schedules of an epoch's end. `loss`: that on validation, where it was measured."""
        for update in self.values():
            update.schedule.epoch(loss)

    def state_dict(self) -> dict[str, Any]:
        return {name: update.state_dict() for name, update in self.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, update in self.items():
            update.load_state_dict(state[name])
