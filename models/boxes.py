"""What detectors share: the form of their outputs, the choice of boxes, and their step of training.

A detector takes float images in [0, 1], (N, C, H, W). In evaluation it returns detections, float (N, K, 6): x1, y1, x2, y2 in pixels of
the input, score, class; rows of score 0 are none. For training it has `losses`, given boxes (N, M, 6): x1, y1, x2, y2, class,
difficult; rows of class -1 are none.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

CANDIDATES = 1000  # boxes an image that non-maximum suppression is given


def ops() -> ModuleType:
    """torchvision.ops, imported when it is needed: that takes four seconds, and every stage reads every network's file to check
    params.yaml."""
    from torchvision import ops

    return ops


class Detector(nn.Module, ABC):
    """A network whose losses are summed for one optimiser.

    What `stem` gives does not change while the network learns, so that a training may keep it. `floor`, `iou`, `most`: which of
    the candidates are detections (`suppress`).
    """

    floor: float
    iou: float
    most: int

    def stem(self, images: Tensor) -> Tensor:
        """What the layers that do not learn make of images; the images themselves where all learn."""
        return images

    @abstractmethod
    def losses(self, features: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The parts of the loss of what `stem` gives, each weighted and averaged over the batch."""

    @abstractmethod
    def candidates(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Boxes (N, A, 4) or (N, A, classes, 4) within images of this height and width, and scores (N, A, classes)."""

    def detect(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Detections (N, K, 6) of what `stem` gives for images of this height and width."""
        return suppress(*self.candidates(features, size), self.floor, self.iou, self.most)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return self.detect(self.stem(images), (height, width))

    def parts(self) -> dict[str, nn.Module]:
        return {"network": self}

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        losses = self.losses(inputs, targets)
        loss = torch.stack([*losses.values()]).sum()
        updates["network"](loss)
        return {"loss": loss, **losses}


def suppress(boxes: Tensor, scores: Tensor, floor: float, iou: float, most: int) -> Tensor:
    """Detections (N, most, 6) out of boxes (N, A, 4) or (N, A, classes, 4) and scores (N, A, classes).

    A box may be of several classes. Of each image the `CANDIDATES` best above `floor` are taken; of those of a class that overlap by
    more than `iou` the best one stays, and of them all the `most` best.
    """
    out = scores.new_zeros(len(scores), most, 6, dtype=torch.float32)
    for image, (corners, values) in enumerate(zip(boxes.float(), scores.float())):
        best, where = values.flatten().topk(min(CANDIDATES, values.numel()))
        where = where[best > floor]
        place, label = where // values.shape[1], where % values.shape[1]
        best = best[: len(where)]
        corner = corners[place, label] if corners.ndim == 3 else corners[place]
        kept = ops().batched_nms(corner, best, label, iou)[:most]
        out[image, : len(kept)] = torch.cat([corner[kept], best[kept, None], label[kept, None].float()], 1)
    return out


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Corners (..., 4) within the image."""
    return torch.stack([side.clamp(0, limit) for side, limit in zip(boxes.unbind(-1), (width, height) * 2)], -1)
