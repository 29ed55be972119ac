"""Adversarial images: how small a change of the pixels makes a network answer otherwise, in what is saved as 8 bits.

With labelled images the network's accuracy on test is measured under FGSM and PGD (l-inf and l2) at rising budgets, and `other`'s on the same
changed images (transfer). With photographs without labels each is changed as little as PGD can until it is taken for a class drawn at random
that is not among the five most probable. Budgets are in levels of 255; l2's is that of every value changed by so many levels.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.kinds import Figure, Metric


class Block(BaseModel):
    """The study's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int = Field(100, ge=1, description="of test where there are labels, of validation else; the first ones")
    budgets: tuple[int, ...] = Field((1, 2, 3, 4, 6, 8), description="levels of 255, rising")
    steps: int = Field(20, ge=1, description="of PGD")
    judge: Literal["mobilenet_v2", "none"] = Field(
        "none", description="a network of ImageNet that is shown what fools the one that is attacked"
    )
    seed: int = Field(0, ge=0, description="of the targets")

    @field_validator("budgets")
    @classmethod
    def _rising(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if not budgets or list(budgets) != sorted({*budgets}) or budgets[0] < 1 or budgets[-1] > 255:
            raise ValueError("whole numbers from 1 to 255, each larger than the one before")
        return budgets


METRICS = (
    Metric("accuracy_clean", "accuracy, unchanged", 100, 1, "%"),
    Metric("accuracy_fgsm", "accuracy, FGSM at the largest budget", 100, 1, "%", less_is_better=True),
    Metric("accuracy_pgd", "accuracy, PGD at the largest budget", 100, 1, "%", less_is_better=True, headline=True),
    Metric("accuracy_pgd_l2", "accuracy, PGD in l2 at the largest budget", 100, 1, "%", less_is_better=True),
    Metric("accuracy_other", "accuracy of the other network, unchanged", 100, 1, "%"),
    Metric("transfer", "accuracy of the other network on PGD's images", 100, 1, "%", less_is_better=True),
    Metric("reached", "taken for the target within the largest budget", 100, 1, "%", headline=True),
    Metric("median_budget", "median of the smallest budgets", 1, 1, "/255", less_is_better=True, tolerance=1),
    Metric("transfer_target", "taken for the target by the other network too", 100, 1, "%"),
    Metric("transfer_changed", "answers of the other network that change", 100, 1, "%"),
    Metric("changed", "answers that change at the largest budget", 100, 1, "%"),
    Metric("mean_linf", "mean l-inf change", 1, 2, "/255", less_is_better=True, tolerance=1),
    Metric("mean_l2", "mean l2 change", 1, 1, "/255", less_is_better=True),
    Metric("ssim", "SSIM of the changed images", tolerance=0.02),
)
PAGE = "Inside"
FIGURES = (
    Figure(
        "strip.png",
        "Images by their place in the order of SSIM: as they are, the change (amplified to the whole range), and what is taken for another thing.",
        pixels=True,
    ),
    Figure("curve.png", "Accuracy, or the share that is taken for its target, against the budget."),
)


def run(profile: Any, name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Attack the network at each budget. Raises Error for a network that is no classifier."""
    from tasks.inside import adversarial

    return adversarial.measure(name, studied, out)
