"""Classification: images with one label each, logits out."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.block import Block
from tasks.params.preparation import Preparation

# Networks get pixels with the training images' mean taken off, divided by their deviation, unless they want them raw.
STANDARDISED = True

METRICS = (
    Metric("accuracy", "Accuracy", 100, 2, "%", headline=True),
    Metric("accuracy_flip", "Accuracy, flip-averaged", 100, 2, "%"),
    Metric("macro_f1", "Macro F1", 100, 2, "%", headline=True),
    Metric("log_loss", "Log loss", 1, 3, less_is_better=True),
    Metric("ece", "Calibration error", 100, 2, "%", less_is_better=True),
)
FIGURES = (
    Figure("confusion.png", "Confusion matrix on test: counts, coloured by the share of each actual class."),
    Figure(
        "confused.png",
        "The pairs mistaken most often, with the network's surest mistakes and the probability it gave them.",
        pixels=True,
    ),
    Figure("first_layer.png", "What the first layer looks for: its weights as pictures, grey is 0.", pixels=True),
)


class Prepare(Preparation):
    """Images with one label each; `validation` images are held out of the publisher's training split, the same share of each class."""

    by_count: ClassVar[bool] = True

    task: Literal["classify"]
    validation: int | None = Field(None, ge=1, description="needed unless the data set is published with a validation split")
    test: int | None = Field(None, ge=1, description="images held out as test, for sets that are published without a test split")
    size: int | None = Field(None, ge=8, le=1024, description="pixels; needed where the images have no fixed size")


class Teacher(Block):
    """How the experiment named by `after` teaches this one: its answers are learned in place of the labels."""

    temperature: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="what the logits of teacher and student are divided by"
    )
    mirrored: bool = Field(False, description="it answers with the mean of its logits for an image and for its mirror image")


class Recipe(recipe.Recipe):
    """The recipe of a classifier."""

    kind: Literal["classify"] = Field("classify", exclude=True, repr=False)
    loss: Literal["cross-entropy", "hinge"]
    augment: recipe.ImageAugment = recipe.ImageAugment()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    teacher: Teacher | None = Field(None, description="learn the answers of the experiment that `after` names")

    @model_validator(mode="after")
    def _losses_take_what_they_can(self) -> "Recipe":
        if self.loss == "hinge" and (self.augment.mixup or self.label_smoothing):
            raise ValueError("hinge loss takes neither mixup nor label_smoothing")
        if self.teacher and (self.loss != "cross-entropy" or self.label_smoothing):
            raise ValueError("a student takes loss: cross-entropy, and no label_smoothing, since no label is learned")
        return self


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an experiment or sweep that does not fit its data or its network's module."""
    if (experiment.train.teacher is not None) != (getattr(experiment, "after", "none") != "none"):
        raise ValueError("train.teacher: how the experiment named by `after` teaches; give both of them, or none")
