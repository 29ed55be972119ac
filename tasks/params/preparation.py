"""What a data set in `params.yaml` may say: what of it is downloaded, and how it is prepared.

Each kind of task adds what its data need (`Prepare` of `tasks/kinds/<kind>`).
"""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tasks.params.block import Block, Name, Share


class Download(Block):
    """What to take of a data set; `None` takes everything. Only COCO-mini, whose images are single files, can be bounded."""

    train_images: int | None = Field(None, ge=1, description="COCO-mini: at most so many images of its train2017 sample")
    val_images: int | None = Field(None, ge=1, description="COCO-mini: at most so many images of val2017")


class Preparation(Block):
    """What every prepared data set has: where it comes from, and how its splits are drawn."""

    # Whether `validation` and `test` count images; otherwise they are shares.
    by_count: ClassVar[bool] = False

    dataset: Name
    seed: int = Field(0, ge=0)
    max_bad_share: Share = Field(0.01, description="fail when more than this share of the files does not decode")
    task: str
    if TYPE_CHECKING:
        # Each kind has these, in its own types.
        size: Any
        validation: Any
        test: Any

    def held_out(self, split: Literal["val", "test"], left: int, whole: int) -> int | None:
        """How many images are held out as a split: None where the block does not say.

        `left`: images that are not held out yet; `whole`: all that there are. The share of test is one of the whole set, the share
        of validation one of what is left.
        """
        wanted = self.validation if split == "val" else self.test
        if wanted is None or self.by_count:
            return wanted if wanted is None else int(wanted)
        return math.ceil(wanted * (left if split == "val" else whole))
