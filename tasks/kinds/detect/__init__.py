"""Detection: an image in, boxes with their classes and scores out."""

from typing import Any, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.block import Share
from tasks.params.preparation import Preparation

# Only networks whose file says so return boxes (`models.kind`).
OWN_NETWORKS = True

# A detector's numbers move more between processors than others.
MOVES = 0.06

METRICS = (
    Metric("map50", "mAP at IoU 0.5", 100, 2, "%", headline=True, tolerance=MOVES),
    Metric("map50_11point", "mAP of VOC 2007, 11 points", 100, 2, "%", tolerance=MOVES),
    Metric("map", "mAP of COCO, IoU 0.5 to 0.95", 100, 2, "%", tolerance=MOVES),
    Metric("map50_coco", "mAP at IoU 0.5, 101 points", 100, 2, "%", tolerance=MOVES),
    Metric("map75", "mAP at IoU 0.75, 101 points", 100, 2, "%", tolerance=MOVES),
    Metric("f1", "F1", 100, 2, "%", tolerance=MOVES),
    Metric("precision", "Precision", 100, 2, "%", tolerance=MOVES),
    Metric("recall", "Recall", 100, 2, "%", tolerance=MOVES),
    Metric("threshold", "Threshold of the scores", 1, 3),
)
FIGURES = (
    Figure(
        "detections.png",
        "Test pictures by their place in the order of F1 at the threshold: objects white (difficult ones dotted), right detections "
        "green, wrong ones red.",
        pixels=True,
    ),
    Figure(
        "precision_recall.png",
        "Precision and recall on test, a curve a class; the best, the median and the worst by name, with a dot at the threshold that "
        "was chosen on validation.",
    ),
    Figure(
        "errors.png",
        "Detections from the threshold on, by what became of them: right, found twice, badly placed, of another class, of nothing; to "
        "the left the objects that nothing found.",
    ),
)


class Prepare(Preparation):
    """Images with boxes, scaled to fit a square of `size` pixels and padded to it with grey at the right and the bottom."""

    task: Literal["detect"]
    size: int = Field(ge=32, le=2048)
    validation: Share = Field(0.1, description="share of the training images held out")
    test: Share | None = Field(None, description="share held out as test, for sets that are published without a test split")


class Augment(recipe.Augment):
    """Augmentations that move boxes with their image."""

    scale: Share = Field(0.0, description="zoom in or out by up to this share; the shape changes by up to a quarter of it")
    shift: Share = Field(0.0, description="move by up to this share of the side")
    views: int = Field(0, ge=0, description="draw so many versions of the data and take them in turn; 0: a new one each epoch")


class Recipe(recipe.Recipe):
    """The recipe of a detector."""

    kind: Literal["detect"] = Field("detect", exclude=True, repr=False)
    loss: Literal["detection"] = Field(description="detection: the network's own losses")
    augment: Augment = Augment()
    trainer: dict[str, bool | int | float] = Field(
        {}, description="settings of a network's own trainer (yolov8, yolo11: of ultralytics)"
    )


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an experiment or sweep that does not fit its data or its network's module."""
    if experiment.train.trainer and not hasattr(network, "TRAINER"):
        raise ValueError(f"train.trainer: {experiment.network} is trained by our own loop; leave it out")
