"""The one training loop: it is given an `Objective`, and knows no kind of task.

Data stay in memory as uint8 in NHWC order, which is what `channels_last` wants: a batch is gathered, augmented and turned to float
without a copy between layouts. A run that was killed goes on from its checkpoint and ends where an uninterrupted one ends.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tasks.common.errors import Error
from tasks.learning import checkpoint as checkpoints
from tasks.learning.checkpoint import Run
from tasks.learning.objective import Objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples
from tasks.params.recipe import Recipe


class Average:
    """An exponential moving average of a network's weights, or of some of its parts; the others are those of the network itself."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        assert recipe.ema is not None
        self.network, self.decay = network, recipe.ema
        update = self._ramped if recipe.ema_ramp else get_ema_multi_avg_fn(recipe.ema)
        self.model = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
        self.followed: list[tuple[Tensor, Tensor]] = []
        if recipe.ema_parts:
            parts = network.parts()  # type: ignore[operator]
            averaged = {id(t) for name in recipe.ema_parts for t in (*parts[name].parameters(), *parts[name].buffers())}
            theirs = self.model.module.state_dict(keep_vars=True)
            self.followed = [(theirs[n], t) for n, t in network.state_dict(keep_vars=True).items() if id(t) not in averaged]

    @property
    def module(self) -> nn.Module:
        """The network with the averaged weights."""
        return self.model.module

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights after a step."""
        self.model.update_parameters(self.network)
        for theirs, own in self.followed:
            theirs.copy_(own)

    def _ramped(self, averaged: Any, current: Any, count: Any) -> None:
        decay = min(self.decay, (1 + float(count)) / (10 + float(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Shuffled indices in batches; what does not fill the last batch waits for another epoch, unless it is all there is."""
    order = torch.from_numpy(rng.permutation(count))
    yield from order[: max(count - count % size, min(count, size))].split(size)


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
    """Train `network` in place, to the weights of the last or best epoch.

    `checkpoint`: written after each epoch, and read first where it belongs to the same `fingerprint` and seed.
    `on_epoch`: given each epoch's row (epoch, lr, seconds, train_*, val_*), after its checkpoint; may raise to stop.
    Raises Error for a loss that is not finite.
    """
    recipe: Recipe = objective.recipe
    device = train.device
    steps = max(1, len(train) // recipe.batch_size)
    updates = Updates(network, recipe, steps)
    average = Average(network, recipe) if recipe.ema else None
    evaluated = average.module if average else network
    torch.manual_seed(seed)
    run = _resume(checkpoint, fingerprint, seed, network, average, updates) or Run()
    if recipe.compile:
        # In place, so that names in the state stay those of the plain network.
        network.compile()

    while run.epoch < recipe.epochs and not stopped(run, recipe):
        start = time.perf_counter()
        # Order and augmentation depend on seed and epoch alone, so that an epoch is the same after a resumption.
        rng = np.random.default_rng([seed, run.epoch])
        objective.begin(train, seed, run.epoch)
        network.train()
        sums: dict[str, Tensor] = {}
        count = 0
        for rows in batches(len(train), recipe.batch_size, rng):
            updates.batch = run.epoch * steps + count
            inputs, targets = objective.draw(train, rows, rng)
            for name, value in objective.step(inputs, targets, updates).items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value
            if average:
                average.update()
            count += 1
            on_batch()
        means = {f"train_{name}": float(total) / count for name, total in sums.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise Error(f"the training loss is not finite in epoch {run.epoch + 1}: {means}; try a lower learning rate or clip")
        lr = updates.lr
        measured = (run.epoch + 1) % recipe.measure_every == 0 or run.epoch + 1 == recipe.epochs
        scores = objective.measure(evaluated, val) if measured else {}
        updates.epoch(scores.get("loss"))
        run.epoch += 1
        run.seconds += time.perf_counter() - start
        row = {"epoch": run.epoch, "lr": lr, "seconds": run.seconds, **means, **{f"val_{k}": v for k, v in scores.items()}}
        run.history.append(row)
        if measured:
            keep(run, recipe, evaluated, objective.falling)
        if checkpoint:
            states = {"network": network.state_dict(), "updates": updates.state_dict()}
            states["average"] = average.model.state_dict() if average else None  # type: ignore[assignment]
            checkpoints.save(checkpoint, fingerprint, seed, run, **states)
        on_epoch(row)

    network.load_state_dict(run.kept_weights if run.kept_weights is not None else evaluated.state_dict())
    return run


def keep(run: Run, recipe: Recipe, network: nn.Module, falling: frozenset[str]) -> None:
    """Remember the weights that will be kept, and how long early stopping has waited. The last epoch was measured."""
    row = run.history[-1]
    if recipe.keep == "last":
        run.kept = run.epoch
    else:
        key = _column(recipe.select, row)
        if run.kept == 0 or better(recipe.select, row[key], run.history[run.kept - 1][key], falling):
            run.kept, run.kept_weights = run.epoch, copy.deepcopy(network.state_dict())
    if recipe.early_stopping:
        improved = [_improved(run.history, metric, falling) for metric in recipe.early_stopping.metrics]
        run.waited = 0 if any(improved) else run.waited + 1


def better(metric: str, value: float, best: float, falling: frozenset[str]) -> bool:
    """Whether a value of a metric is better than the best so far."""
    return value < best if metric in falling else value > best


def _improved(history: list[dict[str, float]], metric: str, falling: frozenset[str]) -> bool:
    """Whether the last epoch is better than all that were measured before it."""
    key = _column(metric, history[-1])
    *earlier, last = (row[key] for row in history if key in row)
    best = (min if metric in falling else max)(earlier, default=None)
    return best is None or better(metric, last, best, falling)


def _column(metric: str, row: dict[str, float]) -> str:
    """A validation metric's key in the history. Raises Error where there is none of that name."""
    if (key := f"val_{metric}") not in row:
        names = ", ".join(name.removeprefix("val_") for name in row if name.startswith("val_"))
        raise Error(f"there is no validation metric {metric!r} for train.select or train.early_stopping; allowed: {names}")
    return key


def stopped(run: Run, recipe: Recipe) -> bool:
    """Whether early stopping has waited long enough."""
    return recipe.early_stopping is not None and run.waited >= recipe.early_stopping.patience


def _resume(
    path: Path | None, fingerprint: str, seed: int, network: nn.Module, average: Average | None, updates: Updates
) -> Run | None:
    """Go on from a checkpoint; one of another configuration, code or data is left alone and overwritten later."""
    state = checkpoints.load(path, fingerprint, seed)
    if state is None:
        return None
    network.load_state_dict(state["network"])
    if average:
        average.model.load_state_dict(state["average"])
    updates.load_state_dict(state["updates"])
    checkpoints.restore_randomness(state)
    return Run(**state["run"])
