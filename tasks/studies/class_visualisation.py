"""Class visualisation: what a network takes for a class most of all, by ascent of its score, and whether another network sees the class too.

Each class is drawn twice: by the course's ascent (an L2 penalty, jitter, a blur now and then), and with a prior of what photographs are like
(a Fourier spectrum, seen from several places). `judge` took no part in the ascent. All numbers are of pictures of 8 bits.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.kinds import Figure, Metric

PRIORS = ("course", "fourier")
PUBLISHED = ("cannon", "gorilla", "hourglass", "tarantula")


class Block(BaseModel):
    """The study's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = Field(PUBLISHED, min_length=1, description="names, in any case")
    size: int | None = Field(None, ge=16, le=512, description="pixels of a side; the network's own by default")
    course_steps: int = Field(100, ge=1, description="of the course's ascent")
    fourier_steps: int = Field(128, ge=1, description="of the ascent with the better prior")
    views: int = Field(1, ge=1, description="from which the better prior looks at a picture at each step")
    judge: Literal["mobilenet_v2", "squeezenet", "none"] = Field("mobilenet_v2", description="the network that took no part")
    source: Literal["package", "url", "mirror"] = Field("package", description="where the judge's weights come from")
    seed: int = Field(0, ge=0)


METRICS = tuple(
    Metric(f"{what}_{prior}", f"{label}, {prior}", 100, 1, "%", headline=prior == "fourier" and what in ("probability", "transfer"), tolerance=0.2)
    for prior in PRIORS
    for what, label in (
        ("probability", "probability"),
        ("least", "least probability of a class"),
        ("transfer", "probability in the other network"),
        ("transfer_least", "least of them in the other network"),
        ("moved", "probability, shifted and turned"),
    )
)  # fmt: skip
PAGE = "Inside"
FIGURES = (
    Figure("classes.png", "Each class by both ways, with its probability in the network and in the other one.", pixels=True),
    Figure(
        "ascent.png", "The class's probability as the ascent goes on, a line a class: the network's, and dashed the other one's."
    ),
)


def run(profile: Any, name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Draw the classes and measure the pictures. Raises Error for a network that is no classifier, and for a class that it lacks."""
    from tasks.inside import visualisation

    return visualisation.measure(name, studied, out)
