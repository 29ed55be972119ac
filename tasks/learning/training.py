"""The one training loop.

Data stay in memory as uint8 in NHWC order, which is what `channels_last` wants: a batch is gathered, augmented and turned to float
without a copy between layouts. A run that was killed goes on from its checkpoint and ends where an uninterrupted one ends.
"""

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models import manual
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.datasets.data import Data, Info
from tasks.evaluation import metrics
from tasks.learning import augment
from tasks.learning.optimizers import Update
from tasks.params.experiment import Train

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Examples:
    """Images and what they should become, on the device: uint8 (N, H, W, C) and int64 (N,), uint8 (N, H, W, C') or boxes (N, M, 6)."""

    images: Tensor
    targets: Tensor

    @classmethod
    def of(cls, data: Data, task: str, device: torch.device) -> "Examples":
        if task == "detect":
            from tasks.learning import detect

            return cls(torch.from_numpy(data.images).to(device), detect.boxes(data).to(device))
        targets = data.labels if task == "classify" else data.targets
        return cls(torch.from_numpy(data.images).to(device), torch.from_numpy(targets).to(device))

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: "Examples") -> "Examples":
        targets = [self.targets, other.targets]
        if self.targets.ndim == 3:  # boxes: of the split with the most an image
            most = max(t.shape[1] for t in targets)
            targets = [F.pad(t, (0, 0, 0, most - t.shape[1]), value=-1.0) for t in targets]
        return Examples(torch.cat([self.images, other.images]), torch.cat(targets))


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [0, 1], in channels_last memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def to_bytes(outputs: Tensor | np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1], clipped and rounded: uint8 (N, H, W, C)."""
    outputs = torch.as_tensor(outputs)
    return outputs.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


class Objective(ABC):
    """What a task asks of a network: batches of its data, a step on each, and how well it does on validation."""

    def __init__(self, recipe: Train, info: Info, network: nn.Module) -> None:
        self.recipe, self.info, self.network = recipe, info, network

    def begin(self, train: Examples, seed: int, epoch: int) -> None:  # noqa: B027
        """Prepare an epoch's version of the data, where there is more to it than drawing batches."""

    @abstractmethod
    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """An augmented batch: inputs of the network, and targets."""

    @abstractmethod
    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        """The loss and the metrics on validation."""

    def step(self, inputs: Tensor, targets: Tensor, updates: "Updates") -> dict[str, Tensor]:
        """Take one step on a batch; what it returns is averaged over the epoch and recorded. Here: the step of the network's own
        (`training_step`), under autocast."""
        with autocast(inputs.device, self.recipe.precision):
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

    def step(self, inputs: Tensor, targets: Tensor, updates: "Updates") -> dict[str, Tensor]:
        if hasattr(self.network, "training_step"):
            return super().step(inputs, targets, updates)
        with autocast(inputs.device, self.recipe.precision):
            outputs = self.network(inputs)
        loss = self.loss(outputs, targets)
        updates["network"](loss)
        return {"loss": loss.detach()}

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        outputs = predict(network, val.images, precision=self.recipe.precision)
        return self.metrics(torch.from_numpy(outputs).to(val.images.device), val.targets)


class Classify(OneLoss):
    """Cross-entropy or hinge loss on logits (N, K), with a gradient by hand where the network's are."""

    def __init__(self, recipe: Train, info: Info, network: nn.Module) -> None:
        super().__init__(recipe, info, network)
        self.smoothing, self.classes = recipe.label_smoothing, info.outputs
        self.soft = recipe.augment.mixup > 0
        self.hinge = recipe.loss == "hinge"
        self.by_hand = any(isinstance(m, manual.Classifier) and m.backward == "manual" for m in network.modules())

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        scores = outputs.float()
        if self.hinge:
            return manual.hinge(scores, targets) if self.by_hand else F.multi_margin_loss(scores, targets) * self.classes
        function = manual.cross_entropy if self.by_hand else F.cross_entropy
        return function(scores, targets, label_smoothing=self.smoothing)

    def targets(self, raw: Tensor) -> Tensor:
        return F.one_hot(raw, self.classes).float() if self.soft else raw

    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]:
        """The unsmoothed loss stands beside the measures, so that recipes compare."""
        loss = (F.multi_margin_loss(outputs, raw) * self.classes if self.hinge else F.cross_entropy(outputs, raw)).item()
        return {"loss": loss, **metrics.classify(outputs.cpu().numpy(), raw.cpu().numpy())}


class Translate(OneLoss):
    """L1 or squared error between images (N, C, H, W) in [0, 1]."""

    def __init__(self, recipe: Train, info: Info, network: nn.Module) -> None:
        super().__init__(recipe, info, network)
        self.distance = F.l1_loss if recipe.loss == "l1" else F.mse_loss

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.distance(outputs.float(), targets)

    def targets(self, raw: Tensor) -> Tensor:
        return to_float(raw)

    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]:
        loss = self.distance(outputs, to_float(raw)).item()
        return {"loss": loss, **metrics.translate(to_bytes(outputs), raw.cpu().numpy())}


def _detect(recipe: Train, info: Info, network: nn.Module) -> Objective:
    from tasks.learning.detect import Detect  # which needs this module

    return Detect(recipe, info, network)


OBJECTIVES: dict[str, Callable[[Train, Info, nn.Module], Objective]] = {
    "classify": Classify,
    "translate": Translate,
    "detect": _detect,
}


class Updates(dict[str, Update]):
    """What learns, by name: the network with one optimiser, unless its `parts()` name the modules that have one each."""

    def __init__(self, network: nn.Module, recipe: Train, steps: int) -> None:
        """`steps`: batches an epoch."""
        parts: dict[str, nn.Module] = network.parts() if hasattr(network, "parts") else {"network": network}  # type: ignore[operator]
        super().__init__({name: Update(part, recipe, steps) for name, part in parts.items()})

    @property
    def lr(self) -> float:
        """Of the first part; 0 where nothing is learned."""
        return next((float(update.optimizer.param_groups[0]["lr"]) for update in self.values()), 0.0)

    def epoch(self, val: dict[str, float]) -> None:
        for update in self.values():
            update.schedule.epoch(val["loss"])

    def state_dict(self) -> dict[str, Any]:
        return {name: update.state_dict() for name, update in self.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, update in self.items():
            update.load_state_dict(state[name])


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Shuffled indices in batches; what does not fill the last batch waits for another epoch, unless it is all there is."""
    order = torch.from_numpy(rng.permutation(count))
    yield from order[: max(count - count % size, min(count, size))].split(size)


@dataclass
class Run:
    """What a training has done so far: all that a checkpoint holds beside the configuration."""

    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    kept: int = 0  # the epoch whose weights are kept
    kept_weights: dict[str, Tensor] | None = None
    waited: int = 0  # epochs without a better value of early stopping's metric

    def val(self) -> dict[str, float]:
        """Validation metrics at the epoch that was kept."""
        row = self.history[self.kept - 1]
        return {key.removeprefix("val_"): value for key, value in row.items() if key.startswith("val_")}


# Metrics of which less is better; of every other more is.
FALLING = {"loss", "log_loss", "l1", "ece"}


def fit(
    network: nn.Module,
    train: Examples,
    val: Examples,
    info: Info,
    recipe: Train,
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
    device = train.images.device
    objective = OBJECTIVES[info.task](recipe, info, network)
    steps = max(1, len(train) // recipe.batch_size)
    updates = Updates(network, recipe, steps)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True) if recipe.ema else None
    evaluated = average.module if average else network
    torch.manual_seed(seed)
    run = _resume(checkpoint, fingerprint, seed, network, average, updates) or Run()
    if recipe.compile:
        # In place, so that names in the state stay those of the plain network.
        network.compile()

    while run.epoch < recipe.epochs and not _stopped(run, recipe):
        start = time.perf_counter()
        # Order and augmentation depend on seed and epoch alone, so that an epoch is the same after a resumption.
        rng = np.random.default_rng([seed, run.epoch])
        objective.begin(train, seed, run.epoch)
        network.train()
        sums: dict[str, Tensor] = {}
        count = 0
        for rows in batches(len(train), recipe.batch_size, rng):
            inputs, targets = objective.draw(train, rows, rng)
            for name, value in objective.step(inputs, targets, updates).items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value
            if average:
                average.update_parameters(network)
            count += 1
            on_batch()
        means = {f"train_{name}": float(total) / count for name, total in sums.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise Error(f"the training loss is not finite in epoch {run.epoch + 1}: {means}; try a lower learning rate or clip")
        lr = updates.lr
        scores = objective.measure(evaluated, val)
        updates.epoch(scores)
        run.epoch += 1
        run.seconds += time.perf_counter() - start
        row = {"epoch": run.epoch, "lr": lr, "seconds": run.seconds, **means, **{f"val_{k}": v for k, v in scores.items()}}
        run.history.append(row)
        _keep(run, recipe, evaluated)
        if checkpoint:
            _save(checkpoint, fingerprint, seed, network, average, updates, run)
        on_epoch(row)

    network.load_state_dict(run.kept_weights if run.kept_weights is not None else evaluated.state_dict())
    return run


def _better(metric: str, value: float, best: float) -> bool:
    return value < best if metric in FALLING else value > best


def _keep(run: Run, recipe: Train, network: nn.Module) -> None:
    """Remember the weights that will be kept, and how long early stopping has waited."""
    row = run.history[-1]
    if recipe.keep == "last":
        run.kept = run.epoch
    else:
        key = _column(recipe.select, row)
        if run.kept == 0 or _better(recipe.select, row[key], run.history[run.kept - 1][key]):
            run.kept, run.kept_weights = run.epoch, copy.deepcopy(network.state_dict())
    if recipe.early_stopping:
        improved = [_improved(run.history, metric) for metric in recipe.early_stopping.metrics]
        run.waited = 0 if any(improved) else run.waited + 1


def _improved(history: list[dict[str, float]], metric: str) -> bool:
    """Whether the last epoch is better than all before it."""
    *earlier, last = (row[_column(metric, row)] for row in history)
    best = (min if metric in FALLING else max)(earlier, default=None)
    return best is None or _better(metric, last, best)


def _column(metric: str, row: dict[str, float]) -> str:
    """A validation metric's key in the history. Raises Error where there is none of that name."""
    if (key := f"val_{metric}") not in row:
        names = ", ".join(name.removeprefix("val_") for name in row if name.startswith("val_"))
        raise Error(f"there is no validation metric {metric!r} for train.select or train.early_stopping; allowed: {names}")
    return key


def _stopped(run: Run, recipe: Train) -> bool:
    return recipe.early_stopping is not None and run.waited >= recipe.early_stopping.patience


def _save(
    path: Path, fingerprint: str, seed: int, network: nn.Module, average: AveragedModel | None, updates: Updates, run: Run
) -> None:
    state = {
        "fingerprint": fingerprint,
        "seed": seed,
        "network": network.state_dict(),
        "average": average.state_dict() if average else None,
        "updates": updates.state_dict(),
        "run": vars(run),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def _resume(
    path: Path | None, fingerprint: str, seed: int, network: nn.Module, average: AveragedModel | None, updates: Updates
) -> Run | None:
    """Go on from a checkpoint; one of another configuration, code or data is left alone and overwritten later."""
    if path is None or not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    if (state["fingerprint"], state["seed"]) != (fingerprint, seed):
        return None
    network.load_state_dict(state["network"])
    if average:
        average.load_state_dict(state["average"])
    updates.load_state_dict(state["updates"])
    torch.set_rng_state(state["rng"])
    if state["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    return Run(**state["run"])


@torch.inference_mode()
def predict(
    network: nn.Module,
    images: np.ndarray | Tensor,
    device: torch.device | str | None = None,
    batch_size: int = EVALUATION_BATCH,
    precision: str = "bf16",
) -> np.ndarray:
    """The network's outputs for uint8 images (N, H, W, C): float32 logits (N, K), or images (N, C', H, W) not yet clipped.

    The network is left in evaluation mode, on `device` (where it already is by default).
    """
    parameter = next(iter([*network.parameters(), *network.buffers()]), torch.empty(0))
    device = torch.device(device) if device is not None else parameter.device
    network.to(device).eval()
    images = torch.as_tensor(images)
    outputs = []
    for start in range(0, len(images), batch_size):
        with autocast(device, precision):
            outputs.append(network(to_float(images[start : start + batch_size].to(device))).float().cpu())
    return torch.cat(outputs).numpy()
