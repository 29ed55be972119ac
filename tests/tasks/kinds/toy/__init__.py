"""Ink: an image in, how much of it is ink and where that lies out. A kind of task for tests, and an example for CONTRIBUTING."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.preparation import Preparation

METRICS = (
    Metric("ink_error", "Error of the ink", 100, 2, "%", less_is_better=True, headline=True),
    Metric("centre_error", "Error of its centre", 1, 2, "px", less_is_better=True),
)
FIGURES = (Figure("scatter.png", "Ink as it is and as it was found, a dot an image."),)


class Prepare(Preparation):
    """Images with two numbers each that are computed from their pixels."""

    by_count: ClassVar[bool] = True

    task: Literal["ink"]
    validation: int = Field(ge=1, description="images held out of train")
    test: int | None = Field(None, ge=1, description="images held out as test")
    size: int | None = Field(None, ge=8, description="pixels; needed where the images have no fixed size")


class Recipe(recipe.Recipe):
    """The recipe of a network of ink."""

    kind: Literal["ink"] = Field("ink", exclude=True, repr=False)
    loss: Literal["squares"]
    augment: recipe.ImageAugment = recipe.ImageAugment()


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an augmentation that moves the ink."""
    if experiment.train.augment.model_dump(exclude_defaults=True):
        raise ValueError("train.augment: what moves the ink moves its centre; leave it out")
