"""An experiment in `params.yaml`, and its recipe: optimiser, schedule, augmentation, and what of a training is kept."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tasks.params.block import Block, Name, Share


class Optimizer(Block):
    """A `torch.optim` optimiser by name."""

    name: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"] = "nesterov"
    lr: float = Field(gt=0, description="the highest learning rate of the schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="of the gradient; Adam's first beta")
    weight_decay: float = Field(0.0, ge=0, description="on weights of two dimensions or more; biases and norms have none")


class Schedule(Block):
    """A `torch.optim.lr_scheduler` by name, stepped a batch at a time (`plateau` and `step`: an epoch at a time)."""

    name: Literal["constant", "one-cycle", "cosine", "step", "plateau"] = "one-cycle"
    warmup: Share = Field(0.25, description="one-cycle: share of the steps in which the rate rises")
    gamma: float = Field(0.1, gt=0, lt=1, description="step, plateau: factor of each fall")
    every: int = Field(10, ge=1, description="step: epochs between falls; plateau: epochs without improvement")


class Augment(Block):
    """Augmentations of a batch, drawn for each image on its own (and for its target alike)."""

    flip: bool = Field(False, description="mirror left to right, every second image")
    crop: int = Field(0, ge=0, description="shift by up to so many pixels, with reflected borders")
    dihedral: bool = Field(False, description="one of the square's eight turns and mirrorings")
    cutout: int = Field(0, ge=0, description="side in pixels of a square that is set to the mean")
    jitter: float = Field(0.0, ge=0, le=1, description="strength of brightness, contrast and saturation changes")
    mixup: float = Field(0.0, ge=0, description="alpha of mixup's Beta distribution, 0 for none")
    scale: Share = Field(0.0, description="detect: zoom in or out by up to this share, and as much less of a change in shape")
    shift: Share = Field(0.0, description="detect: move by up to this share of the side")
    views: int = Field(
        0, ge=0, description="detect: draw so many versions of the data and take them in turn; 0: a new one each epoch"
    )


class Pretrained(Block):
    """Where the backbone's ImageNet weights come from: checked by hash, and named in the result."""

    source: Literal["package", "url", "mirror", "path", "none"] = Field(
        description="none: random weights, which have to be asked for"
    )
    path: str | None = Field(None, description="path: torchvision's file of mobilenet_v2")

    @model_validator(mode="after")
    def _a_path_is_given_where_it_is_needed(self) -> "Pretrained":
        if (self.source == "path") != (self.path is not None):
            raise ValueError("path: needed with source: path, and with no other")
        return self


LOSSES = {"classify": ("cross-entropy", "hinge"), "translate": ("l1", "mse"), "detect": ("detection",)}


class EarlyStopping(Block):
    metrics: tuple[str, ...] = Field(("loss",), min_length=1, description="validation metrics of which one has to become better")
    patience: int = Field(ge=1, description="epochs without a better value after which training stops")


class Train(Block):
    """The recipe of a training.

    Defaults are never changed, since DVC cannot see that: an experiment that does not name a key depends on its default.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    loss: Literal["cross-entropy", "hinge", "l1", "mse", "detection"] = Field(
        description="classify: cross-entropy or hinge; translate: l1 or mse; detect: detection, the network's own losses"
    )
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of an exponential moving average of the weights, used for evaluation"
    )
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False
    keep: Literal["last", "best"] = Field("last", description="the epoch whose weights are kept; best: by `select`")
    select: str = Field("loss", description="validation metric that `best` goes by")
    early_stopping: EarlyStopping | None = None
    max_parameters: int | None = Field(None, ge=1, description="a network over this budget is refused before training")
    split: Literal["train", "train+val"] = Field(
        "train", description="train+val: the last fit of a recipe that was chosen before; its validation metrics are not held out"
    )
    pretrained: Pretrained | None = Field(None, description="needed for networks on a pretrained backbone")
    trainer: dict[str, bool | int | float] = Field({}, description="settings of a network's own trainer (yolov8: of ultralytics)")

    @model_validator(mode="after")
    def _nothing_is_chosen_on_what_was_trained_on(self) -> "Train":
        if self.split == "train+val" and (self.keep == "best" or self.early_stopping or self.schedule.name == "plateau"):
            raise ValueError("split: train+val leaves nothing to choose by; keep: best, early_stopping and plateau need train")
        return self


class Published(Block):
    """A number to compare with. `dataset`: what it was measured on, where that is not the experiment's own."""

    metric: str
    value: float
    source: str
    note: str = ""
    dataset: str | None = None


class Experiment(Block):
    """One row of the table."""

    system: Name = Field(description="the system of the published list that it rebuilds")
    data: Name = Field(description="a key of `preprocess`")
    network: Name = Field(description="a file of models/, without .py")
    architecture: dict[str, Any] = Field(description="the arguments of the network's `build`")
    train: Train
    seeds: tuple[int, ...] = Field(min_length=1, description="one training each; the result is their mean")
    published: tuple[Published, ...] = Field(description="the numbers to compare with; [] for none")

    @model_validator(mode="after")
    def _network_is_known(self) -> "Experiment":
        # torch takes seconds to import, which downloads and preparations do not need.
        import models

        models.check(self.network, self.architecture)
        return self


class Teacher(Block):
    """Who teaches a student, and how it answers."""

    experiment: Name = Field(description="a key of `experiments`; its first seed teaches")
    temperature: float = Field(1.0, gt=0, description="what the logits of teacher and student are divided by")
    mirrored: bool = Field(False, description="it answers with the mean of its logits for an image and for its mirror image")


class Student(Experiment):
    """A classifier that learns the answers of another one in place of the labels (`tasks.learning.distillation`)."""

    teacher: Teacher

    @model_validator(mode="after")
    def _no_label_is_learned(self) -> "Student":
        if self.train.loss != "cross-entropy" or self.train.label_smoothing:
            raise ValueError("train: a student takes loss: cross-entropy, and no label_smoothing, since no label is learned")
        return self
