"""Image to image: a colour image in, the picture that a filter makes of it out."""

from typing import Any, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.block import Block, Share
from tasks.params.preparation import Preparation

METRICS = (
    Metric("psnr", "PSNR", 1, 2, "dB", headline=True),
    Metric("ssim", "SSIM", headline=True, tolerance=0.02),
    Metric("l1", "L1", less_is_better=True),
)
FIGURES = (
    Figure(
        "strip.png",
        "Test pictures chosen by their place in the order of PSNR, and their absolute difference from the target.",
        pixels=True,
    ),
)


class Target(Block):
    """The filter that an image-to-image network learns: grey, blur, then Sobel's magnitude or a random 3x3 filter's response."""

    filter: Literal["sobel", "random"] = "sobel"
    scale: Literal["fixed", "per-image"] = "fixed"
    seed: int = Field(0, ge=0, description="of the random filter")


class Prepare(Preparation):
    """Pairs of a colour image and its filtered target, `size` pixels a side."""

    task: Literal["translate"]
    size: int = Field(ge=16, le=1024)
    crop: Literal["none", "center", "random"] = Field(
        "none", description="none: squash to a square; center, random: cut a square first"
    )
    crops_per_image: int = Field(1, ge=1, description="with crop: random, how many squares are cut from each image")
    target: Target = Target()
    validation: Share = Field(0.1, description="share of the training images held out")
    test: Share | None = Field(None, description="share held out as test, for sets that are published without a test split")


class Recipe(recipe.Recipe):
    """The recipe of an image-to-image network."""

    kind: Literal["translate"] = Field("translate", exclude=True, repr=False)
    loss: Literal["l1", "mse"]
    augment: recipe.ImageAugment = recipe.ImageAugment()


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an experiment or sweep that does not fit its data or its network's module.

    A turned picture has the turned target only where the filter has no direction of its own, as Sobel's magnitude.
    """
    augment = experiment.train.augment
    if prepare.target.filter == "random" and (augment.flip or augment.dihedral):
        raise ValueError("train.augment: a random filter does not turn with the picture; allowed here: crop")
