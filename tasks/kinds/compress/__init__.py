"""Compression: a photograph in, a file that is smaller than others of the same quality out."""

from typing import Any, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.block import Share
from tasks.params.preparation import Preparation

# Only networks whose file says so are codecs (`models.kind`).
OWN_NETWORKS = True

METRICS = (
    Metric("bd_rate_jpeg", "Bits against JPEG", 100, 1, "%", less_is_better=True, headline=True, tolerance=0.05),
    Metric("bd_rate_webp", "Bits against WebP", 100, 1, "%", less_is_better=True, headline=True, tolerance=0.05),
    Metric("bd_rate_avif", "Bits against AVIF", 100, 1, "%", less_is_better=True, tolerance=0.05),
    Metric("bpp", "Bits a pixel", 1, 3, less_is_better=True),
    Metric("psnr", "PSNR", 1, 2, "dB"),
    Metric("ms_ssim", "MS-SSIM", tolerance=0.02),
    Metric("overhead", "Files over the estimate", 100, 2, "%", less_is_better=True, tolerance=0.01),
)
FIGURES = (
    Figure(
        "crops.png",
        "The middle of test photographs at the middle quality, beside JPEG and WebP of at most as many bytes; by their place in the order "
        "of PSNR.",
        pixels=True,
    ),
    Figure(
        "rates.png",
        "Bits a pixel of the files and quality, means over the test photographs, a line a codec; dotted: what others have published of networks "
        "on Kodak.",
    ),
    Figure(
        "bits.png",
        "Where the bits go at the middle quality: photographs, and the bits of each block of 8x8 pixels, brighter for more.",
        pixels=True,
    ),
)


class Prepare(Preparation):
    """Squares of photographs, `size` pixels a side, for training; test photographs are kept whole beside theirs.

    A square is cut at random with a side of `size` to `shrink` times that, and made smaller: that hides the blocks of JPEGs.
    """

    task: Literal["compress"]
    size: int = Field(ge=32, le=1024, multiple_of=32)
    crops_per_image: int = Field(1, ge=1, description="how many squares are cut from each image of train and validation")
    shrink: float = Field(1.0, ge=1, le=4, description="by how much a square is made smaller at most")
    validation: Share = Field(0.1, description="share of the training images held out")
    test: Share | None = Field(None, description="share held out as test, for sets that are published without a test split")


class Recipe(recipe.Recipe):
    """The recipe of a codec: every square of a batch is compressed at a quality of its own."""

    kind: Literal["compress"] = Field("compress", exclude=True, repr=False)
    loss: Literal["rate-distortion"]
    augment: recipe.ImageAugment = recipe.ImageAugment()


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an augmentation that adds what no photograph has."""
    augment = experiment.train.augment
    if augment.cutout or augment.mixup or augment.jitter:
        raise ValueError("train.augment: a codec learns from pictures as they are; allowed: flip, dihedral, crop")
