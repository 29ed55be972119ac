"""Optimisers and schedules by name, and the step that takes both."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from tasks.params.experiment import Optimizer, Train


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
            return torch.optim.Adam(groups, recipe.lr, betas=(recipe.momentum, 0.999))
        case "adamw":
            return torch.optim.AdamW(groups, recipe.lr, betas=(recipe.momentum, 0.999))


class Schedule:
    """The named learning-rate schedule, told of every step and every epoch."""

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Train, steps: int) -> None:
        schedule, total = recipe.schedule, recipe.epochs * steps
        self.by_step: lr_scheduler.LRScheduler | None = None
        self.by_epoch: lr_scheduler.LRScheduler | None = None
        match schedule.name:
            case "one-cycle":
                # A rise that is over with the first step is none: torch would divide by its length.
                lr, warmup = recipe.optimizer.lr, 0.0 if schedule.warmup * total == 1 else schedule.warmup
                self.by_step = lr_scheduler.OneCycleLR(optimizer, lr, total, pct_start=warmup, cycle_momentum=False)
            case "cosine":
                self.by_step = lr_scheduler.CosineAnnealingLR(optimizer, total)
            case "step":
                self.by_epoch = lr_scheduler.StepLR(optimizer, schedule.every, schedule.gamma)
            case "plateau":
                self.by_epoch = lr_scheduler.ReduceLROnPlateau(optimizer, factor=schedule.gamma, patience=schedule.every)

    def step(self) -> None:
        if self.by_step:
            self.by_step.step()

    def epoch(self, loss: float) -> None:
        if isinstance(self.by_epoch, lr_scheduler.ReduceLROnPlateau):
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

    def __init__(self, part: nn.Module, recipe: Train, steps: int) -> None:
        self.part, self.clip = part, recipe.clip
        self.optimizer = make_optimizer(part, recipe.optimizer)
        self.schedule = Schedule(self.optimizer, recipe, steps)

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
