"""What a data set in `params.yaml` may say: what of it is downloaded, and how it is prepared."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.params.block import Block, Name, Share


class Download(Block):
    """What to take of a data set; `None` takes everything. Only COCO-mini, whose images are single files, can be bounded."""

    train_images: int | None = Field(None, ge=1, description="COCO-mini: at most so many images of its train2017 sample")
    val_images: int | None = Field(None, ge=1, description="COCO-mini: at most so many images of val2017")


class Preparation(Block):
    """What every prepared data set has: where it comes from, and how its splits are drawn."""

    dataset: Name
    seed: int = 0
    max_bad_share: Share = Field(0.01, description="fail when more than this share of the files does not decode")

    @property
    def by_count(self) -> bool:
        """Whether `validation` and `test` count images; else they are shares."""
        return False


class PrepareClassify(Preparation):
    """Images with one label each; `validation` images are held out of the publisher's training split, the same share of each class."""

    task: Literal["classify"]
    validation: int | None = Field(None, ge=1, description="needed unless the data set is published with a validation split")
    test: int | None = Field(None, ge=1, description="images held out as test, for sets that are published without a test split")
    size: int | None = Field(None, ge=8, le=1024, description="pixels; needed where the images have no fixed size")

    @property
    def by_count(self) -> bool:
        return True


class Target(Block):
    """The filter that an image-to-image network learns: grey, blur, then Sobel's magnitude or a random 3x3 filter's response."""

    filter: Literal["sobel", "random"] = "sobel"
    scale: Literal["fixed", "per-image"] = "fixed"
    seed: int = Field(0, description="of the random filter")


class PrepareTranslate(Preparation):
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


class PrepareDetect(Preparation):
    """Images with boxes, scaled to fit a square of `size` pixels and padded to it with grey at the right and the bottom."""

    task: Literal["detect"]
    size: int = Field(ge=32, le=2048)
    validation: Share = Field(0.1, description="share of the training images held out")
    test: Share | None = Field(None, description="share held out as test, for sets that are published without a test split")


Prepare = Annotated[PrepareClassify | PrepareTranslate | PrepareDetect, Field(discriminator="task")]
