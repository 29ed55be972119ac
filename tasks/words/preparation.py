"""The block of `preprocess` that kinds on images with sentences share; nothing heavier than pydantic is imported."""

from typing import Literal

from pydantic import Field

from tasks.params.block import Share
from tasks.params.preparation import Preparation


class Described(Preparation):
    """Images of `size` pixels a side with up to `sentences` sentences each, of up to `length` - 2 words; and all texts in a table."""

    size: int = Field(ge=32, le=1024, multiple_of=32)
    crop: Literal["whole", "center"] = Field(
        "whole", description="whole: the image is squeezed into the square; center: its middle square"
    )
    sentences: int = Field(5, ge=1, le=100, description="sentences of an image that are kept as numbers; the table has all")
    length: int = Field(24, ge=3, le=1000, description="numbers of a sentence: its words, start and end; more words are cut off")
    least: int = Field(2, ge=1, description="how often a word has to come in train to be in the vocabulary")
    validation: Share | None = Field(
        None, description="share of the training images held out, for sets that are published without"
    )
    test: Share | None = Field(None, description="share held out as test, for sets that are published without a test split")
