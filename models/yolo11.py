"""YOLO11 of ultralytics (2024): YOLOv8's successor, with attention at its coarsest level and cheaper layers in its head.

Size n has 2.6 million parameters. It may begin at weights that were learned from COCO's 118,000 photographs, of which the classes of the
data at hand are no part, or some. Its training is that of `models.yolov8`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from models import Shape
from models.yolov8 import TRAINER, YOLOv8

__all__ = ["KIND", "PRETRAINED", "TRAINER", "YOLO11", "build"]

KIND = "detect"
PRETRAINED = True
COCO = 80  # classes
# Of the head's layers that say which class it is; the last layer of each has an output a class.
CLASSES = ".cv3."


class YOLO11(YOLOv8):
    """ultralytics' network under our conventions."""

    family = "yolo11"
    pretrained = "yolo11n"

    def __init__(self, shape: Shape, scale: str, floor: float, iou: float, most: int, coco: tuple[int, ...]) -> None:
        # The width of the head's layers depends on the number of classes.
        super().__init__(replace(shape, outputs=COCO) if coco else shape, scale, floor, iou, most)
        self.coco = coco
        if coco:
            head: Any = self.model.model[-1]  # type: ignore[index]
            head.nc, head.no = len(coco), len(coco) + 4 * head.reg_max
            for branch in head.cv3:
                whole = branch[-1]
                branch[-1] = nn.Conv2d(whole.in_channels, len(coco), 1, device=whole.weight.device)
                branch[-1].load_state_dict({name: tensor[list(coco)] for name, tensor in whole.state_dict().items()})

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take COCO's weights. Without `coco`, layers that tell classes apart keep their own.

        Raises ValueError for weights of another network.
        """
        taken = {}
        for name, tensor in self.model.state_dict().items():
            given = tensors.get(name)
            if CLASSES in name and given is not None and given.shape[:1] == (COCO,) != tensor.shape[:1]:
                given = given[list(self.coco)] if self.coco else tensor
            if given is None or given.shape != tensor.shape:
                raise ValueError(f"the published weights do not fit {name}; they are those of a YOLO11 of size n")
            taken[name] = given.to(tensor.dtype)
        self.model.load_state_dict(taken)


def build(
    shape: Shape,
    *,
    scale: Literal["n", "s", "m"] = "n",
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.001,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.7,
    most: PositiveInt = 100,
    coco: tuple[Annotated[NonNegativeInt, Field(lt=COCO)], ...] = (),
) -> YOLO11:
    """`scale`: depth and width. `floor`: detections of smaller scores are left out; `iou`: overlaps beyond which the lesser of two
    is; `most`: detections an image. `coco`: for each class of the data the number of the class of COCO's whose weights it begins at; the
    head then has the width that ultralytics gives it for COCO's 80 classes."""
    if coco and len(coco) != shape.outputs:
        raise ValueError(
            f"architecture.coco: {len(coco)} classes of COCO, and the data have {shape.outputs}; name one of each, or none"
        )
    return YOLO11(shape, scale, floor, iou, most, coco)
