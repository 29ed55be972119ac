"""Training of `models/yolov8.py` and `models/yolo11.py` by ultralytics' own trainer, in place of `tasks.learning.loop.fit`, and to the same contract.

Its augmentation, losses, optimiser and moving average are ultralytics'; the data are ours, written as the files it reads, and so are validation
(`tasks.kinds.detect.detections`), the history, the checkpoints, in which nothing is pickled but tensors and numbers, and bf16 on a processor, which it has on GPUs
alone. Order and augmentation of an epoch depend on seed and epoch alone, and an epoch ends with a step of what gradients are left, so that a run
that was killed ends where an uninterrupted one ends.
"""

import contextlib
import copy
import dataclasses
import io
import math
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from models import yolov8

yolov8.ultralytics()
from ultralytics.data import augment  # noqa: E402
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.utils.loss import v8DetectionLoss  # noqa: E402
from ultralytics.utils.torch_utils import ModelEMA  # noqa: E402

from tasks.common.errors import Error  # noqa: E402
from tasks.common.files import atomic  # noqa: E402
from tasks.common.processors import processors  # noqa: E402
from tasks.kinds.detect import Recipe  # noqa: E402
from tasks.kinds.detect.objective import Objective, measure  # noqa: E402
from tasks.learning import checkpoint as checkpoints  # noqa: E402
from tasks.learning import loop  # noqa: E402
from tasks.learning.checkpoint import Run  # noqa: E402
from tasks.learning.tensors import Examples  # noqa: E402

OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "rmsprop": "RMSProp", "adam": "Adam", "adamw": "AdamW"}
SCHEDULES = ("cosine", "constant")
# What `train.trainer` may set, with ultralytics' meanings and defaults.
SETTINGS = (
    "box", "cls", "close_mosaic", "copy_paste", "cutmix", "degrees", "dfl", "fliplr", "flipud", "hsv_h", "hsv_s", "hsv_v", "lrf", "mixup",
    "mosaic", "nbs", "perspective", "scale", "shear", "translate", "warmup_bias_lr", "warmup_epochs", "warmup_momentum",
)  # fmt: skip
# Processes that augment images ahead of a GPU. A processor has none to spare, and augments a batch when it is asked for.
WORKERS = 8
# And one of ours: the weights that the network begins at stay as they are, to be measured as they come.
UNTOUCHED = "untouched"


def check(recipe: Recipe) -> None:
    """Raises Error for what ultralytics' trainer does not do."""
    default = Recipe(epochs=1, batch_size=1, loss="detection", optimizer=recipe.optimizer)
    for key in ("augment", "clip", "ema", "compile", "parts", "measure_every"):
        if getattr(recipe, key) != getattr(default, key):
            raise Error(
                f"train.{key}: the network has ultralytics' own; leave it out, or set one of train.trainer: {', '.join(SETTINGS)}"
            )
    if recipe.schedule.name not in SCHEDULES:
        raise Error(f"train.schedule.name: ultralytics' trainer has no {recipe.schedule.name}; allowed: {', '.join(SCHEDULES)}")
    if unknown := set(recipe.trainer) - {*SETTINGS, UNTOUCHED}:
        raise Error(f"train.trainer: unknown {', '.join(sorted(unknown))}; allowed: {', '.join([*SETTINGS, UNTOUCHED])}")
    if recipe.trainer.get(UNTOUCHED) and (recipe.pretrained is None or recipe.epochs > 1):
        raise Error(
            f"train.trainer.{UNTOUCHED}: weights as they come are measured once; say what they are with train.pretrained, and epochs: 1"
        )


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
    """Train a `models.yolov8.YOLOv8` in place; see `tasks.learning.loop.fit`. Raises Error as `check` does."""
    recipe, info = objective.recipe, objective.info
    check(recipe)
    if recipe.trainer.get(UNTOUCHED):
        return _measured(network, val, objective, on_epoch)
    with tempfile.TemporaryDirectory(prefix="darkroom-yolo-") as folder:
        write_dataset(Path(folder), "train", train)
        write_dataset(Path(folder), "val", val)
        overrides = {
            "model": "yolov8n.yaml", "task": "detect", "mode": "train", "project": folder, "name": "run", "exist_ok": True,
            "epochs": recipe.epochs, "batch": recipe.batch_size, "imgsz": info.size, "seed": seed, "patience": 0, "cache": "ram",
            "device": str(train.images.device), "workers": WORKERS if train.images.is_cuda else 0,
            "amp": "bf16" if objective.precision == "bf16" and train.images.is_cuda else False,
            "optimizer": OPTIMIZERS[recipe.optimizer.name], "lr0": recipe.optimizer.lr, "weight_decay": recipe.optimizer.weight_decay,
            "momentum": 0.0 if recipe.optimizer.name == "sgd" else recipe.optimizer.momentum,
            "cos_lr": recipe.schedule.name == "cosine", "lrf": 1.0 if recipe.schedule.name == "constant" else 0.01,
            "plots": False, "verbose": False, "pretrained": False, **recipe.trainer,
        }  # fmt: skip
        trainer = Trainer(overrides, Path(folder), network, val, objective, seed, checkpoint, fingerprint, on_epoch)
        trainer.add_callback("on_train_batch_end", lambda _: on_batch())
        if trainer.run.epoch < recipe.epochs and not loop.stopped(trainer.run, recipe):
            trainer.train()
    run, evaluated = trainer.run, trainer.evaluated()
    network.load_state_dict(run.kept_weights if run.kept_weights is not None else evaluated.state_dict())
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return run


def _measured(network: nn.Module, val: Examples, objective: Objective, on_epoch: Callable[[dict[str, float]], None]) -> Run:
    """A run of one epoch without a step."""
    scores = measure(network, val, objective.info, objective.precision)
    row = {"epoch": 1, "lr": 0.0, "seconds": 0.0} | {f"val_{name}": value for name, value in scores.items()}
    on_epoch(row)
    return Run(epoch=1, history=[row], kept=1)


def write_dataset(folder: Path, split: str, examples: Examples) -> None:
    """Images and boxes as the files of a YOLO data set: lossless PNG, and lines of class, centre and size as shares of the image."""
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    height, width = examples.images.shape[1:3]
    scale = np.array([width, height])

    def write(index: int, image: np.ndarray, rows: np.ndarray) -> None:
        pixels = image[..., ::-1] if image.shape[-1] == 3 else image
        cv2.imwrite(str(images / f"{index:06d}.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        rows = rows[rows[:, 4] >= 0]
        low, high = rows[:, :2] / scale, rows[:, 2:4] / scale
        table = np.hstack([rows[:, 4:5], (low + high) / 2, high - low])
        np.savetxt(labels / f"{index:06d}.txt", table, "%d %.6f %.6f %.6f %.6f")

    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(write, range(len(examples.images)), examples.images.cpu().numpy(), examples.targets.cpu().numpy()))


class Losses(v8DetectionLoss):
    """ultralytics' losses, in fp32 whatever the network computed in: bf16 has eight bits for a coordinate."""

    def loss(self, preds: dict[str, Any], batch: dict[str, Any]) -> Any:
        exact = {"boxes": preds["boxes"].float(), "scores": preds["scores"].float(), "feats": [x.float() for x in preds["feats"]]}
        with torch.autocast(self.device.type, enabled=False):
            return super().loss(exact, batch)


class Trainer(DetectionTrainer):
    """ultralytics' trainer on a network, data, validation and checkpoints of ours."""

    # Set by ultralytics as it goes; it says None.
    model: Any
    ema: Any
    optimizer: Any
    tloss: Any
    loss: Any

    def __init__(
        self,
        overrides: dict[str, Any],
        folder: Path,
        network: nn.Module,
        val: Examples,
        objective: Objective,
        seed: int,
        checkpoint: Path | None,
        fingerprint: str,
        on_epoch: Callable[[dict[str, float]], None],
    ) -> None:
        self.folder, self.network, self.val_examples, self.objective = folder, network, val, objective
        self.info, self.recipe = objective.info, objective.recipe
        self.our_seed, self.checkpoint, self.fingerprint, self.on_epoch = seed, checkpoint, fingerprint, on_epoch
        self.within, self.gathered = False, 0
        threads = torch.get_num_threads()
        super().__init__(overrides=overrides)
        torch.set_num_threads(threads)  # it leaves one core idle
        self.run = Run()
        self.saved = self._read()
        if self.saved:
            self.run = Run(**self.saved["run"])
        self.ema = None
        # Closed by us, before an epoch's numbers are drawn: an epoch after a resumption is then as any other.
        self.close_at = self.recipe.epochs - self.args.close_mosaic
        self.args.close_mosaic = 0
        self.mosaic_closed = False
        self.add_callback("on_train_epoch_start", lambda _: self._begin_epoch())
        self.add_callback("on_train_epoch_end", lambda _: self._end_epoch())

    @property
    def accumulate(self) -> int:
        """Batches a step, as ultralytics sets it; within an epoch one, so that it asks for a step after each.

        It counts them from the process' first one on, so that a resumed run would make its steps at other batches.
        """
        return 1 if self.within else self.wanted

    @accumulate.setter
    def accumulate(self, batches: int) -> None:
        self.wanted = batches

    def optimizer_step(self) -> None:
        """Make a step where enough gradients are gathered."""
        self.gathered += 1
        if self.gathered >= self.wanted:
            self._step()

    def _step(self) -> None:
        super().optimizer_step()
        self.gathered = 0

    def evaluated(self) -> nn.Module:
        """Our network on the moving average's weights."""
        if self.ema is None:  # a finished run that was read from its checkpoint
            self.ema = ModelEMA(self.network.model)
            assert self.saved is not None
            self.ema.ema.load_state_dict(self.saved["average"])
        shadow = copy.copy(self.network)
        shadow._modules = {**self.network._modules, "model": self.ema.ema}
        return shadow

    # What ultralytics' trainer calls, in the order of its own.

    def get_dataset(self) -> dict[str, Any]:
        names = dict(enumerate(self.info.classes))
        folders = {split: str(self.folder / "images" / split) for split in ("train", "val")}
        return {"path": str(self.folder), **folders, "nc": len(names), "names": names, "channels": self.info.channels}

    def build_dataset(self, *arguments: Any, **options: Any) -> Any:
        # It draws a bar whatever it is told.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return super().build_dataset(*arguments, **options)

    def setup_model(self) -> None:
        self.model = self.network.model

    def set_model_attributes(self) -> None:
        super().set_model_attributes()
        self.model.criterion = Losses(self.model)

    def resume_training(self, ckpt: Any) -> None:
        if not self.saved:
            return
        self.model.load_state_dict(self.saved["network"])
        self.ema.ema.load_state_dict(self.saved["average"])
        self.ema.updates = self.saved["updates"]
        self.optimizer.load_state_dict(self.saved["optimizer"])
        self.start_epoch = self.run.epoch

    def _begin_epoch(self) -> None:
        self.started, self.within = time.perf_counter(), True
        if self.epoch >= self.close_at and not self.mosaic_closed:
            self._close_dataloader_mosaic()
            self.mosaic_closed = True
        draw = int(np.random.default_rng([self.our_seed, self.epoch]).integers(2**31))
        # In place of the module, from which other threads draw too: that of Prefect's events whenever it sends a ping. Workers seed the module.
        augment.random = random if self.train_loader.num_workers else random.Random(draw)  # type: ignore[assignment]
        np.random.seed(draw)  # noqa: NPY002 (ultralytics draws from it)
        torch.manual_seed(draw)
        self.train_loader.reset()
        self.train_loader.generator.manual_seed(draw)

    def _end_epoch(self) -> None:
        """Make the step of batches that are fewer than a step is gathered over; a checkpoint holds no gradients."""
        self.within = False
        if self.gathered:
            self._step()

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch = super().preprocess_batch(batch)
        batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        # It calls this within an autocast of its own, which is off on a processor; what is set here ends with that one.
        if self.device.type == "cpu" and self.objective.precision == "bf16":
            torch.set_autocast_enabled("cpu", True)
            torch.set_autocast_dtype("cpu", torch.bfloat16)
        return batch

    def validate(self) -> tuple[dict[str, float], float]:
        means = {f"train_{name.removesuffix('_loss')}": float(value) for name, value in self.tloss.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise Error(f"the training loss is not finite in epoch {self.epoch + 1}: {means}; try a lower learning rate")
        scores = measure(self.evaluated(), self.val_examples, self.info, self.objective.precision)
        self.run.epoch = self.epoch + 1
        self.run.seconds += time.perf_counter() - self.started
        row = {"epoch": self.run.epoch, "lr": float(self.optimizer.param_groups[0]["lr"]), "seconds": self.run.seconds}
        row |= {"train_loss": sum(means.values()), **means} | {f"val_{name}": value for name, value in scores.items()}
        self.run.history.append(row)
        loop.keep(self.run, self.recipe, self.evaluated(), self.objective.falling)
        return {}, scores["map50"]

    def save_model(self) -> bool:
        self.stop |= loop.stopped(self.run, self.recipe)
        if self.checkpoint:
            state = {
                "fingerprint": self.fingerprint,
                "seed": self.our_seed,
                "network": self.model.state_dict(),
                "average": self.ema.ema.state_dict(),
                "updates": self.ema.updates,
                "optimizer": self.optimizer.state_dict(),
                "run": dataclasses.asdict(self.run),
            }
            with atomic(self.checkpoint) as temporary:
                torch.save(state, temporary)
        self.on_epoch(self.run.history[-1])
        return True

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """The history is ours."""

    def final_eval(self) -> None:
        """Every epoch was validated, and nothing is read from a pickle."""

    def _read(self) -> dict[str, Any] | None:
        """The checkpoint, where there is one of this very training."""
        return checkpoints.load(self.checkpoint, self.fingerprint, self.our_seed)
