"""The recipe of a training: optimiser, schedule, what is averaged, what is kept.

Each kind of task adds its losses and its augmentation (`Recipe` of `tasks/kinds/<kind>`).

Defaults are never changed, since DVC cannot see that: an experiment that does not name a key depends on its default.
"""

from typing import Literal

from pydantic import Field, SerializeAsAny, model_validator

from tasks.params.block import Block, Share

Precision = Literal["auto", "bf16", "fp32"]


class Optimizer(Block):
    """A `torch.optim` optimiser by name."""

    name: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"] = "nesterov"
    lr: float = Field(gt=0, allow_inf_nan=False, description="the highest learning rate of the schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="of the gradient; Adam's first beta")
    momentum_squared: float = Field(0.999, ge=0, lt=1, description="adam, adamw: of the squared gradient, the second beta")
    weight_decay: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="on weights of two dimensions or more; biases and norms have none"
    )


class Schedule(Block):
    """A `torch.optim.lr_scheduler` by name, stepped a batch at a time (`plateau` and `step`: an epoch at a time)."""

    name: Literal["constant", "one-cycle", "cosine", "step", "plateau"] = "one-cycle"
    warmup: Share = Field(0.25, description="one-cycle: share of the steps in which the rate rises")
    gamma: float = Field(0.1, gt=0, lt=1, description="step, plateau: factor of each fall")
    every: int = Field(10, ge=1, description="step: epochs between falls; plateau: epochs without improvement")


class Part(Block):
    """How one of a network's named parts learns, where it differs from the recipe's own optimiser, schedule and clip."""

    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    clip: float | None = Field(None, gt=0, allow_inf_nan=False, description="largest norm of the part's gradient")
    every: int = Field(1, ge=1, description="the part takes a step every so many batches")


class Augment(Block):
    """Augmentation that every kind of images has."""

    flip: bool = Field(False, description="mirror left to right, every second image")
    jitter: float = Field(0.0, ge=0, le=1, description="strength of brightness, contrast and saturation changes")


class ImageAugment(Augment):
    """Augmentations of a batch of images, drawn for each image on its own (and for its target alike)."""

    crop: int = Field(0, ge=0, description="shift by up to so many pixels, with reflected borders")
    dihedral: bool = Field(False, description="one of the square's eight turns and mirrorings")
    cutout: int = Field(0, ge=0, description="side in pixels of a square that is set to the mean")
    mixup: float = Field(0.0, ge=0, allow_inf_nan=False, description="alpha of mixup's Beta distribution, 0 for none")


class Pretrained(Block):
    """Where the weights that the network begins at come from: checked by hash, and named in the result."""

    source: Literal["package", "url", "mirror", "path", "none"] = Field(
        description="none: random weights, which have to be asked for"
    )
    path: str | None = Field(None, description="path: the file as its publisher has it")

    @model_validator(mode="after")
    def _a_path_is_given_where_it_is_needed(self) -> "Pretrained":
        if (self.source == "path") != (self.path is not None):
            raise ValueError("path: needed with source: path, and with no other")
        return self


class EarlyStopping(Block):
    """Training stops when none of the metrics has become better for a while."""

    metrics: tuple[str, ...] = Field(("loss",), min_length=1, description="validation metrics of which one has to become better")
    patience: int = Field(ge=1, description="measured epochs without a better value after which training stops")


class Recipe(Block):
    """What the training loop is told, whatever the kind of task."""

    kind: str = Field("", exclude=True, repr=False, description="set from the data, never written in params.yaml")
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    loss: str
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    parts: dict[str, Part] = Field({}, description="how named parts of the network learn, where they differ from the rest")
    augment: SerializeAsAny[Augment] = Augment()
    clip: float | None = Field(None, gt=0, allow_inf_nan=False, description="largest norm of the gradient")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of an exponential moving average of the weights, used for evaluation"
    )
    ema_parts: tuple[str, ...] = Field((), description="named parts that are averaged; [] for the whole network")
    ema_ramp: bool = Field(False, description="the decay of step n is at most (1 + n) / (10 + n), so that short trainings forget")
    precision: Precision = Field("auto", description="auto: bf16 where the processor or GPU has it, otherwise fp32")
    compile: bool = False
    keep: Literal["last", "best"] = Field("last", description="the epoch whose weights are kept; best: by `select`")
    select: str = Field("loss", description="validation metric that `best` goes by")
    measure_every: int = Field(
        1, ge=1, description="validation is measured every so many epochs, and at the last one; for measures that are dear"
    )
    early_stopping: EarlyStopping | None = None
    max_parameters: int | None = Field(None, ge=1, description="a network over this budget is refused before training")
    split: Literal["train", "train+val"] = Field(
        "train", description="train+val: the last fit of a recipe that was chosen before; its validation metrics are not held out"
    )
    pretrained: Pretrained | None = Field(None, description="needed for networks that begin at pretrained weights")

    @model_validator(mode="after")
    def _nothing_is_chosen_on_what_was_trained_on(self) -> "Recipe":
        if self.split == "train+val" and (self.keep == "best" or self.early_stopping or self.schedule.name == "plateau"):
            raise ValueError("split: train+val leaves nothing to choose by; keep: best, early_stopping and plateau need train")
        return self

    @model_validator(mode="after")
    def _what_goes_by_validation_is_measured(self) -> "Recipe":
        schedules = [self.schedule, *(part.schedule for part in self.parts.values() if part.schedule)]
        if self.measure_every > 1 and any(schedule.name == "plateau" for schedule in schedules):
            raise ValueError(
                "measure_every: the schedule plateau goes by every epoch's loss; leave it out, or take another schedule"
            )
        if self.ema_parts and self.ema is None:
            raise ValueError("ema_parts: nothing is averaged without ema")
        return self

    def of_part(self, name: str) -> Part:
        """A part's optimiser, schedule and clip, with the recipe's own where it names none."""
        own = self.parts.get(name, Part())
        return Part(
            optimizer=own.optimizer or self.optimizer,
            schedule=own.schedule or self.schedule,
            clip=own.clip or self.clip,
            every=own.every,
        )
