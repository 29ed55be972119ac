"""YOLO (Redmon et al. 2016, You Only Look Once) on MobileNetV2: one stage, a grid of cells that each say a class and two boxes.

Features (N, 1280, 7, 7) of 224 px go through convolution, dropout, leaky ReLU and convolution to (N, 2 * 5 + classes, 7, 7). The cell that
an object's centre falls into answers for it, with that one of its boxes that overlaps it most (section 2.2). As published: the
grid, the boxes' parts (centre within the cell, square roots of width and height as shares of the image), the weights 5 and 0.5 of
equation 3. Not as published: confidences and classes are learned by cross-entropy in place of squared error, and a grid of stride 16
can be asked for. At least 20 % map50 is expected on VOC 2007 at 224 px.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.boxes import Detector, clip, ops
from models.mobilenet import CHANNELS, Backbone, Frozen

KIND = "detect"
PRETRAINED = True
COORDINATES, NO_OBJECT = 5.0, 0.5  # equation 3's lambdas
PRIOR = 0.02  # confidence of an untrained cell


class YOLO(Detector):
    """Cells are numbered row by row; S is the grid's side, B the boxes of a cell, K the classes."""

    def __init__(
        self, shape: Shape, frozen: int, stride: int, width: int, boxes: int, dropout: float, floor: float, iou: float, most: int
    ) -> None:
        super().__init__()
        self.backbone = Backbone(frozen)
        self.stride, self.boxes, self.classes = stride, boxes, shape.outputs
        self.floor, self.iou, self.most = floor, iou, most
        inputs = CHANNELS[1] if stride == 32 else sum(CHANNELS)
        self.head = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.Dropout2d(dropout),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 5 * boxes + shape.outputs, 1),
        )

        # Nearly all cells hold nothing: to start there spares the epochs of learning it.
        with torch.no_grad():
            self.head[-1].bias[4 : 5 * boxes : 5] = math.log(PRIOR / (1 - PRIOR))  # type: ignore[operator]

    def stem(self, images: Tensor) -> Tensor:
        return self.backbone.stem(images)

    def grid(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the cells say: boxes' logits (N, S, S, B, 5) of x, y, width, height, confidence, and classes' (N, S, S, K)."""
        middle, top = self.backbone(features)
        if self.stride == 16:
            top = torch.cat([middle, F.interpolate(top, scale_factor=2.0, mode="nearest")], 1)
        said = self.head(top).float().permute(0, 2, 3, 1)
        boxes, classes = said.split([5 * self.boxes, self.classes], -1)
        return boxes.unflatten(-1, (self.boxes, 5)), classes

    def losses(self, features: Tensor, targets: Tensor) -> dict[str, Tensor]:
        said, classes = self.grid(features)
        parts = yolo_losses(said, classes, targets, self.stride)
        return {name: part / len(said) for name, part in parts.items()}

    def candidates(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """A cell's box has the score of its confidence times the class's probability (equation 1)."""
        said, classes = self.grid(features)
        corners = decode(said, self.stride).flatten(1, 3)  # (N, S * S * B, 4)
        scores = said[..., 4:].sigmoid() * classes.softmax(-1).unsqueeze(-2)
        return clip(corners, *size), scores.flatten(1, 3)


def decode(said: Tensor, stride: int) -> Tensor:
    """Corners (..., S, S', B, 4) in pixels of the boxes that cells say: x, y within the cell, roots of width and height."""
    high, wide = said.shape[-4:-2]
    row = torch.arange(high, device=said.device).view(-1, 1, 1)
    column = torch.arange(wide, device=said.device).view(1, -1, 1)
    x, y, w, h = said[..., :4].sigmoid().unbind(-1)
    x, y = (column + x) * stride, (row + y) * stride
    w, h = w.square() * wide * stride, h.square() * high * stride
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def yolo_losses(said: Tensor, classes: Tensor, targets: Tensor, stride: int) -> dict[str, Tensor]:
    """Equation 3's parts, summed over a batch: said (N, S, S', B, 5), classes (N, S, S', K), targets (N, M, 6)."""
    high, wide = said.shape[1:3]
    corners, label = targets[..., :4], targets[..., 4].long()
    centre = (corners[..., :2] + corners[..., 2:]) / 2 / stride  # in cells
    column, row = centre[..., 0].long().clamp(0, wide - 1), centre[..., 1].long().clamp(0, high - 1)
    there = label >= 0
    # Of objects in one cell the first answers: a cell has one class.
    cell = torch.where(there, row * wide + column, -1 - torch.arange(label.shape[1], device=label.device))
    taken = (cell.unsqueeze(-1) == cell.unsqueeze(-2)).tril(-1).any(-1)
    image, place = (there & ~taken).nonzero(as_tuple=True)
    row, column, truth = row[image, place], column[image, place], corners[image, place]

    with torch.no_grad():
        overlap = ops().box_iou(decode(said, stride)[image, row, column], truth.unsqueeze(1)).squeeze(-1)  # (P, B)
        best, responsible = overlap.max(1)
    answers = said[image, row, column, responsible]  # (P, 5)
    within = centre[image, place] - torch.stack([column, row], -1)
    size = (truth[:, 2:] - truth[:, :2]) / stride / torch.tensor([wide, high], device=said.device)
    aim = torch.cat([within, size.clamp(min=0).sqrt()], -1)
    confident = torch.zeros_like(said[..., 4])
    confident[image, row, column, responsible] = best
    weight = torch.full_like(confident, NO_OBJECT)
    weight[image, row, column, responsible] = 1.0
    return {
        "box": COORDINATES * (answers[:, :4].sigmoid() - aim).square().sum(),
        "confidence": F.binary_cross_entropy_with_logits(said[..., 4], confident, weight, reduction="sum"),
        "class": F.cross_entropy(classes[image, row, column], label[image, place], reduction="sum"),
    }


def build(
    shape: Shape,
    *,
    frozen: Frozen = 14,
    stride: Literal[16, 32] = 32,
    width: PositiveInt = 256,
    boxes: PositiveInt = 2,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.005,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.5,
    most: PositiveInt = 100,
) -> YOLO:
    """`frozen`: blocks of the backbone that do not learn; `stride`: pixels a cell; `width`: channels of the head; `boxes`: of a cell.
    `floor`, `iou`, `most`: which detections are kept (`models.boxes.suppress`)."""
    return YOLO(shape, frozen, stride, width, boxes, dropout, floor, iou, most)
