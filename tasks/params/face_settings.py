"""The block `annotate` of params.yaml: which photographs, which weights, and the numbers by which faces are found and flagged."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.params.block import Block, Share

Size = Annotated[int, Field(ge=64, le=4096, multiple_of=32)]


class Weights(Block):
    """Where a network's weights come from. Never a question of what could be reached."""

    source: Literal["embedded", "path", "url"] = Field("embedded", description="embedded: those that git carries")
    path: str | None = Field(None, description="path: a .safetensors file, or an ultralytics checkpoint; seen from the profile")
    url: str | None = Field(None, pattern="^https?://", description="url: where such a file is downloaded from, once")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="what the file must have; null: not checked")

    @model_validator(mode="after")
    def _place_is_given(self) -> "Weights":
        for source, place in (("path", self.path), ("url", self.url)):
            if (self.source == source) != (place is not None):
                raise ValueError(f"`{source}` is given with source: {source}, and with no other")
        return self


class FindFaces(Block):
    """How faces are found. Sizes are pixels of a photograph's long side as the network is shown it."""

    weights: Weights = Weights()
    sizes: tuple[Size, ...] | None = Field(
        None, min_length=1, description="each photograph is looked at in each of them; null: as chosen for the weights"
    )
    enlarge: float | None = Field(
        None,
        ge=1,
        description="a size that would enlarge a photograph by more is left out, but for the smallest; null: as chosen for the weights",
    )
    threshold: float | None = Field(None, gt=0, lt=1, description="lowest score of a face; null: as chosen for the weights")
    nms: float | None = Field(
        None, gt=0, le=1, description="of boxes that overlap by more one stays; null: as chosen for the weights"
    )
    inside: float | None = Field(
        None, gt=0, le=1, description="a box of which more lies within a surer one goes; null: as chosen for the weights"
    )
    crowd: int = Field(
        12, ge=0, description="photographs with so many faces are looked at once more as large as they are; 0: all"
    )
    crowd_size: Size = Field(2048, description="in this size at most")
    batch: int = Field(
        1,
        ge=1,
        le=64,
        description="photographs of the largest size that the network is shown at once, faster where all have one shape; 1: every view alone",
    )


class ReadEmotions(Block):
    """How emotions are read. What is null is as it was chosen for the weights, on validation."""

    weights: Weights = Weights()
    uncertain: Share | None = Field(None, description="below this probability there is no answer")


class FlagFaces(Block):
    """The rules of the flags. What is null is as it was measured for the emotions' weights."""

    blurred: float | None = Field(None, ge=0, description="below this sharpness")
    small: float | None = Field(None, ge=0, description="below so many pixels of the short side")
    overlap: Share = Field(0.2, description="above this share of a box that another one covers")
    cut: float = Field(1.0, ge=0, description="within so many pixels of the photograph's edge")


class Annotate(Block):
    """Photographs whose faces are annotated."""

    source: str = Field(description="a key of `download`: a data set of photographs")
    split: Literal["test"] | None = Field(None, description="test: only those that `preprocess` holds out as test; null: all")
    faces: FindFaces = FindFaces()
    emotions: ReadEmotions = ReadEmotions()
    flags: FlagFaces = FlagFaces()
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the device computes in it, else fp32"
    )
    pictures: bool = Field(
        True, description="whether annotated pictures are written, which takes about as long as finding the faces"
    )
    largest: int = Field(4096, ge=640, le=9459, description="larger photographs are reduced to so many pixels of their long side")
