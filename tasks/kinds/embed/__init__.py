"""Embedding: photographs and sentences as vectors in one space, in which what belongs together is near."""

from typing import Any, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.words.preparation import Described

# Only networks whose file says so have two encoders (`models.kind`).
OWN_NETWORKS = True

METRICS = (
    Metric("recall5_image", "Image found among 5", 100, 1, "%", headline=True, tolerance=0.05),
    Metric("recall1_image", "Image found first", 100, 1, "%", headline=True, tolerance=0.05),
    Metric("recall5_text", "Sentence found among 5", 100, 1, "%", tolerance=0.08),
    Metric("recall1_text", "Sentence found first", 100, 1, "%", tolerance=0.08),
    Metric("zero_shot", "Zero-shot, one sentence a class", 100, 1, "%", tolerance=0.06),
    Metric("zero_shot_ensemble", "Zero-shot, several sentences a class", 100, 1, "%", tolerance=0.06),
    Metric("zero_shot_by_class", "Zero-shot, several sentences, mean over classes", 100, 1, "%", tolerance=0.06),
)
FIGURES = (
    Figure(
        "retrieval.png",
        "Sentences by the place of their own photograph, from the best to the worst, and the five test photographs that are nearest to each; "
        "their own has a frame.",
        pixels=True,
    ),
    Figure(
        "spaces.png", "Test photographs and their sentences in the common space, by t-SNE; lines join those that belong together."
    ),
    Figure("zero_shot.png", "What crops of objects were taken for by the nearest class, which several sentences describe."),
)


class Prepare(Described):
    """The middle squares of images with sentences; and of images with boxes, for validation and test, crops of objects.

    A crop is the square around a box, as far as the image reaches.
    """

    task: Literal["embed"]
    crop: Literal["center"] = "center"
    objects: dict[str, tuple[str, ...]] = Field(
        {}, description="classes of boxes that are told apart by sentences, the first of which is used alone too; {} for none"
    )
    smallest: int = Field(16, ge=1, description="pixels of a box's shorter side below which it is left out")
    without: tuple[str, ...] = Field((), description="words: training sentences with one of them are left out")


class Augment(recipe.Augment):
    """Augmentation of features that are kept: those of the mirrored image. Sentences with left and right would be wrong."""

    jitter: float = Field(0.0, ge=0, le=0, description="of no use to features that are kept")


class Recipe(recipe.Recipe):
    """The recipe of two encoders: each batch takes one sentence of each of its images."""

    kind: Literal["embed"] = Field("embed", exclude=True, repr=False)
    loss: Literal["contrastive"] = Field(description="symmetric cross-entropy over the batch's pairs")
    augment: Augment = Augment()


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for validation among the training data where it holds crops, and for a class without a sentence."""
    if prepare.objects and experiment.train.split == "train+val":
        raise ValueError("train.split: validation has crops without sentences; take train")
    if bare := [name for name, sentences in prepare.objects.items() if not sentences]:
        raise ValueError(f"data: preprocess names no sentence for {', '.join(bare)}")
