"""Weighted means of the weights that a network begins at and of those of its predecessor, in place of a training.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1. Each epoch goes an equal part of the way: of four, the first has a quarter of
the predecessor's weights, the last has all. Which of them is kept is chosen on validation, as of any training (`keep: best`).
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tasks.common.errors import Error
from tasks.kinds.detect.objective import Objective, measure
from tasks.learning import loop
from tasks.learning.checkpoint import Run
from tasks.learning.tensors import Examples


def fit(
    network: nn.Module,
    train: Examples,
    val: Examples,
    objective: Objective,
    seed: int,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    on_batch: Callable[[], None] = lambda: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Run:
    """Average a network with its predecessor, in place; see `tasks.learning.loop.fit`. It takes seconds, and leaves no checkpoint.

    Raises Error where no tuned network of the same layers comes before, and for settings of a trainer, of which there is none.
    """
    recipe = objective.recipe
    begun = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tuned = objective.predecessor.state_dict() if objective.predecessor is not None else {}
    if {name: tensor.shape for name, tensor in tuned.items()} != {name: tensor.shape for name, tensor in begun.items()}:
        raise Error("after: name an experiment that tuned the same network from the same weights; averaging needs both ends")
    if recipe.trainer:
        raise Error(f"train.trainer: nothing is trained here; leave out {', '.join(sorted(recipe.trainer))}")
    run = Run()
    for epoch in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        network.load_state_dict(mean(begun, tuned, epoch / recipe.epochs))
        scores = measure(network, val, objective.info, objective.precision)
        run.epoch, run.seconds = epoch, run.seconds + time.perf_counter() - start
        run.history.append({"epoch": epoch, "lr": 0.0, "seconds": run.seconds} | {f"val_{n}": v for n, v in scores.items()})
        loop.keep(run, recipe, network, objective.falling)
        on_epoch(run.history[-1])
    if run.kept_weights is not None:
        network.load_state_dict(run.kept_weights)
    return run


def mean(first: dict[str, torch.Tensor], last: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """The weights (1 - `share`) `first` + `share` `last`; of whole numbers, which are counts, the last ones."""
    return {
        name: torch.lerp(tensor, last[name].to(tensor), share) if tensor.is_floating_point() else last[name]
        for name, tensor in first.items()
    }
