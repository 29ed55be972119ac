"""CenterFace part of the way between the published weights and those that learning further came to.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1: FDDB's photographs teach how FDDB marks faces, and that small faces behind
are none. Part of the way has the former, and keeps what WIDER FACE's crowds taught. Nothing is trained. The experiment that `after` names is
the one that learned further.
"""

from typing import Annotated

from pydantic import Field, PositiveInt

from models import Shape, centerface
from models.centerface import CenterFace

KIND = "detect"
TRAINER = "tasks.kinds.detect.averaged_centerface"


class AveragedCenterFace(CenterFace):
    """`share`: of the weights that learned further; the rest is that of the published ones."""

    def __init__(self, share: float, floor: float, iou: float, most: int) -> None:
        super().__init__(floor, iou, most)
        self.share = share


def build(
    shape: Shape,
    *,
    share: Annotated[float, Field(ge=0, le=1)] = 0.25,
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.3,
    most: PositiveInt = 300,
) -> AveragedCenterFace:
    """`share`: of the weights that learned further. The others as `models.centerface.build` has them, which raises ValueError too."""
    centerface.build(shape)  # refuses other data
    return AveragedCenterFace(share, floor, iou, most)
