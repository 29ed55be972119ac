"""Saliency: which pixels count for a network's answer, by five methods, and which of these say anything about the network.

The answer that is explained is the network's most probable class. Insertion and deletion are areas under that class's probability while
the most salient pixels are put into a blurred image, or turn black. The rank correlation that is kept is that with the map
of a network whose layers are all re-drawn: a method that keeps 0.3 of it draws the picture and not the network, and is marked as failing.
Pointing is how often the most salient pixel lies in a box of the class that is explained.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.kinds import Figure, Metric

# Those of `tasks.inside.maps`, which is not imported here: facts are light.
METHODS = ("gradient", "smoothgrad", "integrated-gradients", "grad-cam", "guided-backpropagation")


class Block(BaseModel):
    """The study's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    photographs: int = Field(200, ge=1, description="of validation, the first ones after those that are left out")
    left_out: int = Field(
        0, ge=0, description="first photographs of validation on which methods were chosen, which no number is reported of"
    )
    frame: Literal["whole", "middle"] = Field(
        "whole",
        description="whether photographs are seen as they are prepared, or their middle squares, where there is no padding",
    )
    methods: tuple[str, ...] = METHODS
    samples: int = Field(16, ge=1, description="of SmoothGrad and of the path of integrated gradients")
    steps: int = Field(28, ge=2, description="of insertion and deletion")
    layers: int = Field(8, ge=1, description="how often the map is compared while layers are re-drawn")
    checked: int = Field(20, ge=1, description="photographs of the check by re-drawing")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="of the maps that are measured; the check, and probabilities, are in fp32"
    )
    seed: int = Field(0, ge=0)

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [method for method in methods if method not in METHODS]:
            raise ValueError(f"unknown method {unknown[0]!r}; allowed: {', '.join(METHODS)}")
        return methods


def key(name: str, method: str) -> str:
    return f"{name}_{method.replace('-', '_')}"


METRICS = (
    *(Metric(key("insertion", m), f"insertion, {m}", headline=m == "gradient", tolerance=0.02) for m in METHODS),
    *(Metric(key("deletion", m), f"deletion, {m}", less_is_better=True, tolerance=0.02) for m in METHODS),
    *(Metric(key("rank", m), f"rank correlation that is kept, {m}", less_is_better=True, tolerance=0.1) for m in METHODS),
    *(Metric(key("pointing", m), f"pointing into the object, {m}", 100, 1, "%") for m in METHODS),
    Metric("pointing_chance", "pointing into the object, by chance", 100, 1, "%"),
    Metric("failing", "methods that keep 0.3 or more", decimals=0, less_is_better=True, tolerance=1),
)
PAGE = "Inside"
FIGURES = (
    Figure("strip.png", "Photographs by their place in the order of the first method's insertion, and their maps.", pixels=True),
    Figure("curves.png", "The class's probability as salient pixels come (left) and go (right), means over photographs."),
    Figure("sanity.png", "Rank correlation with the trained network's map, as layers are re-drawn from the last to the first."),
)


def facts(block: Any) -> dict[str, str]:
    """What the result says of itself: the precision of its maps on this machine."""
    from tasks.common import devices

    return {"precision": devices.precision(block.settings().precision, devices.choose("auto"))}


def run(profile: Any, name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Maps of validation's photographs by each method, and their numbers. Raises Error for a network that is no classifier."""
    from tasks.inside import saliency

    return saliency.measure(name, studied, out)
