"""Painting: photographs in the style of others, by descent of the losses of two publications on a backbone's activations.

`recipe` says whose losses they are; `backbone`, on which network. A backbone other than the publication's own has weights of losses that were
brought to its activations' scale (`unit`), so its losses are no numbers to put beside the publication's.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.kinds import Figure, Metric

# The weights of losses: content, style, variation. SqueezeNet's style is for activations of a unit scale; VGG-19's are as published.
WEIGHTS = {"squeezenet": (0.05, 2e4, 0.05), "vgg19": (1e3, 5e6, 1e-6)}
OWN = "vgg19"  # the one publication whose own activations its weights are for
# The photographs inside the packages that styles are taken of, by their names without the suffix.
STYLES = ("ihc", "hubble", "flower")


class Block(BaseModel):
    """The study's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Literal["squeezenet", "vgg19"] = Field(description="whose losses")
    backbone: Literal["squeezenet", "mobilenet_v2", "vgg19"] = Field(description="whose activations")
    source: Literal["package", "url", "mirror", "path"] = Field(
        "package", description="where weights come from that the code does not have"
    )
    path: str | None = Field(None, description="with source: path")
    contents: int = Field(2, ge=1, le=20, description="photographs of validation that are painted, the first ones")
    styles: tuple[str, ...] = Field(STYLES, min_length=1, description="photographs inside the packages, by name")
    mixed: bool = Field(True, description="whether the first content is painted in all styles at once, too")
    size: int = Field(192, ge=64, le=1024, description="pixels of a side")
    steps: int = Field(200, ge=2)
    optimizer: Literal["adam", "lbfgs", "annealed"] = "adam"
    scales: int = Field(1, ge=1, le=4, description="sizes that a picture is painted at, each twice the one before")
    compared: int = Field(200, ge=2, description="steps of Adam, whose objective the other ways of descent are to reach in fewer")
    content: float | None = Field(None, ge=0, description="weight; the recipe's by default")
    style: tuple[float, ...] | None = Field(None, description="weights, a layer each or one for all; the recipe's by default")
    variation: float | None = Field(None, ge=0, description="weight; the recipe's by default")
    unit: float | None = Field(
        None, gt=0, description="the root mean square that activations are brought to; needed but for VGG-19"
    )
    colours: bool = Field(False, description="whether the content keeps its colours")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> "Block":
        if (self.source == "path") != (self.path is not None):
            raise ValueError("path: needed with source: path, and with no other")
        if (self.backbone == OWN) != (self.unit is None):
            raise ValueError(
                f"unit: needed for {self.backbone}" if self.unit is None else "unit: vgg19's activations are taken as they are"
            )
        return self


# Descent is chaotic, and another processor's rounding is enough to move it: `left` is what a rebuild is held to.
ANY = math.inf
METRICS = (
    Metric("loss_start", "objective at the start", decimals=1, less_is_better=True, tolerance=ANY),
    Metric("loss_total", "objective in the end", decimals=1, less_is_better=True, tolerance=ANY),
    Metric("loss_content", "content", decimals=1, less_is_better=True, tolerance=ANY),
    Metric("loss_style", "style", decimals=1, less_is_better=True, tolerance=ANY),
    Metric("loss_variation", "total variation", decimals=4, less_is_better=True, tolerance=ANY),
    Metric("left", "what is left of the objective", 100, 2, "%", less_is_better=True, headline=True, tolerance=0.05),
    Metric(
        "steps_lbfgs",
        "L-BFGS, share of Adam's steps to its objective",
        100,
        1,
        "%",
        less_is_better=True,
        headline=True,
        tolerance=0.2,
    ),
    Metric(
        "half_lbfgs", "its objective after half of them, share of Adam's last", 100, 1, "%", less_is_better=True, tolerance=0.1
    ),
    Metric(
        "steps_scales",
        "L-BFGS at two scales, share of Adam's steps to its objective",
        100,
        1,
        "%",
        less_is_better=True,
        tolerance=0.2,
    ),
    Metric("half_scales", "its objective then, share of Adam's last", 100, 1, "%", less_is_better=True, tolerance=0.1),
    Metric(
        "steps_annealed",
        "Adam with a falling rate, share of Adam's steps to its objective",
        100,
        1,
        "%",
        less_is_better=True,
        headline=True,
        tolerance=0.2,
    ),
    Metric("half_annealed", "its objective then, share of Adam's last", 100, 1, "%", less_is_better=True, tolerance=0.1),
)
PAGE = "Paint"
FIGURES = (
    Figure("triples.png", "Photographs, styles, and the photographs in these styles; last, all styles at once.", pixels=True),
    Figure("steps.webp", "The first photograph while it is painted.", pixels=True),
    Figure(
        "losses.png", "The published objective step by step: Adam, L-BFGS, L-BFGS at two scales, and Adam with a falling rate."
    ),
)


def facts(studied: Any) -> dict[str, Any]:
    """What metrics.json says beside the numbers: which publication's losses, on which network."""
    block = studied.settings()
    return {"system": f"style-{block.recipe}", "backbone": block.backbone, "networks": {"network": block.backbone}}


def run(profile: Any, name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Paint and measure. Raises Error for weights that are not there and styles that are not known."""
    from tasks.inside import painting

    return painting.measure(name, studied, out)
