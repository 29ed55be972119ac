"""Interpolation: from one sample of a generator with styles to another, through its noise z and through its styles w.

A space is straight where the picture changes evenly on the way, and by no more than its ends differ. That is measured as a trained network sees
it (SqueezeNet's activations, of unit length at each place). `detour` is the length of the way over the distance of its ends, 1 at best;
`unevenness` is the largest step over the mean one, 1 at best. Ways through z are arcs, since noise is made a unit vector first; ways through w
are straight lines between the same two samples.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.kinds import Figure, Metric


class Block(BaseModel):
    """The study's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: int = Field(200, ge=1, le=10_000, description="pairs of samples that are measured")
    steps: int = Field(16, ge=2, le=256, description="from one sample to the other")
    shown: int = Field(4, ge=1, le=20, description="pairs that are drawn, the first ones")
    seed: int = Field(0, ge=0, description="of the noise")


METRICS = (
    Metric("detour_z", "detour through z", decimals=3, less_is_better=True, tolerance=0.05),
    Metric("detour_w", "detour through w", decimals=3, less_is_better=True, headline=True, tolerance=0.05),
    Metric("unevenness_z", "unevenness through z", decimals=2, less_is_better=True, tolerance=0.1),
    Metric("unevenness_w", "unevenness through w", decimals=2, less_is_better=True, headline=True, tolerance=0.1),
)
PAGE = "Inside"
FIGURES = (
    Figure("ways.png", "From one sample to another: a pair's way through z, and below it the one through w.", pixels=True),
    Figure("steps.png", "How far the picture moves at each step, of the distance of the way's ends; means over all pairs."),
)


def run(profile: Any, name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Walk and measure. Raises Error for a network without styles."""
    from tasks.inside import interpolation

    return interpolation.measure(name, studied, out)
