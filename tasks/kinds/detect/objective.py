"""What the training loop asks of detection: augmentation that moves boxes, the network's own losses, and measuring on validation.

Boxes are float (N, M, 6): x1, y1, x2, y2 (pixels), class, difficult; an image's rows that are none have class -1.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from tasks import kinds
from tasks.datasets.data import Info
from tasks.imaging.images import PADDING
from tasks.kinds.detect import Augment, detections
from tasks.kinds.detect.data import objects
from tasks.learning import objective
from tasks.learning.tensors import Examples, autocast, to_float

# Detectors' images are large: more at once would not be faster.
BATCH = 32
# A box of which less than this share is left after a move is none.
REMAINS = 0.25


@torch.no_grad()
def measure(
    network: nn.Module, val: Examples, info: Info, precision: str = "bf16", features: Tensor | None = None
) -> dict[str, float]:
    """The loss, and `tasks.kinds.detect.detections.summary`, on validation; the network is left in evaluation mode.

    `features`: of the images, by `network.stem`, where they are known.
    """
    network.eval()
    device = val.device
    total = 0.0
    found = []
    for rows in torch.arange(len(val)).split(BATCH):
        with autocast(device, precision):
            stem = network.stem(to_float(val.images[rows])) if features is None else features[rows]  # type: ignore[operator]
            losses = network.losses(stem, val.targets[rows])  # type: ignore[operator]
            found.append(network.detect(stem, val.images.shape[1:3]).cpu())  # type: ignore[operator]
        total += sum(float(loss) for loss in losses.values()) * len(rows)
    return {"loss": total / len(val), **detections.summary(torch.cat(found).numpy(), objects(val.targets), info.classes)}


class View:
    """One augmented version of all images, drawn from a seed: image i is the same whichever batch it comes in."""

    def __init__(self, recipe: Augment, count: int, seed: list[int]) -> None:
        self.recipe = recipe
        rng = np.random.default_rng(seed)
        self.flip = rng.random(count) < 0.5
        zoom, shape = rng.uniform(-1, 1, (2, count)) * recipe.scale
        # A side is longer by as much as it would be shorter: 1.25 and 0.8 are equally far from 1.
        self.wide, self.high = np.exp2(zoom + shape / 4), np.exp2(zoom - shape / 4)
        self.x, self.y = rng.uniform(-recipe.shift, recipe.shift, (2, count))
        self.brightness, self.contrast, self.saturation = rng.uniform(1 - recipe.jitter, 1 + recipe.jitter, (3, count))

    def __call__(self, index: int, image: Tensor, padded: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (H, W, C) and its boxes (M, 6), drawn anew; boxes that are mostly gone are none."""
        recipe, (height, width) = self.recipe, image.shape[:2]
        pixels: Any = tv_tensors.Image(image.permute(2, 0, 1))
        corners: Any = tv_tensors.BoundingBoxes(padded[:, :4], format="XYXY", canvas_size=(height, width))
        area = before = None
        if recipe.flip and self.flip[index]:
            pixels, corners = functional.horizontal_flip(pixels), functional.horizontal_flip(corners)
        if recipe.scale or recipe.shift:
            # The part of the plane that fills the image, whose outside is grey.
            w, h = round(width / self.wide[index]), round(height / self.high[index])
            left = round((width - w) / 2 + self.x[index] * width)
            top = round((height - h) / 2 + self.y[index] * height)
            edges = [max(-left, 0), max(-top, 0), max(left + w - width, 0), max(top + h - height, 0)]
            pixels, corners = functional.pad(pixels, edges, fill=PADDING), functional.pad(corners, edges)
            cut = (top + edges[1], left + edges[0], h, w, [height, width])
            pixels = functional.resized_crop(pixels, *cut, antialias=True)
            # As is, so that what is cut off is known.
            before = _area(padded[:, :4]) * (width / w) * (height / h)
            corners = functional.resized_crop(corners, *cut)
            area = _area(torch.as_tensor(corners))
        if recipe.jitter:
            pixels = functional.adjust_brightness(pixels, self.brightness[index])
            pixels = functional.adjust_contrast(pixels, self.contrast[index])
            if len(pixels) == 3:
                pixels = functional.adjust_saturation(pixels, self.saturation[index])
        moved = torch.cat([torch.as_tensor(corners), padded[:, 4:]], 1)
        if area is not None and before is not None:
            moved[area < REMAINS * before, 4] = -1
        moved[padded[:, 4] < 0, 4] = -1
        return torch.as_tensor(pixels).permute(1, 2, 0), moved


def _area(corners: Tensor) -> Tensor:
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])


class Objective(objective.Objective):
    """The losses are the network's own (`models.boxes.Detector`).

    An epoch's version of the data goes through the network's frozen layers at once, before it begins. With `views`, versions
    come back, and what the frozen layers made of them is kept: the epochs after the first ones cost what learns alone.
    """

    falling = kinds.falling("detect")

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        super().__init__(recipe, info, network, precision, predecessor)
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.epoch = -1
        self.val_features: Tensor | None = None

    def begin(self, train: Examples, seed: int, epoch: int) -> None:
        """Prepare an epoch: its version of the data depends on seed and epoch alone."""
        views = self.recipe.augment.views
        self.epoch = epoch % views if views else epoch
        if not views:
            self.kept.clear()
        if self.epoch not in self.kept:
            self.kept[self.epoch] = self._prepare(train, [seed, self.epoch])

    def _prepare(self, train: Examples, seed: list[int]) -> tuple[Tensor, Tensor]:
        view = View(self.recipe.augment, len(train), seed)
        device = train.images.device
        features, moved = [], []
        for rows in torch.arange(len(train)).split(BATCH):
            pairs = [view(int(row), train.images[row].cpu(), train.targets[row].cpu()) for row in rows]
            images = torch.stack([image for image, _ in pairs]).to(device)
            moved.append(torch.stack([boxes for _, boxes in pairs]).to(device))
            features.append(self._stem(images))
        return torch.cat(features), torch.cat(moved)

    @torch.no_grad()
    def _stem(self, images: Tensor) -> Tensor:
        self.network.eval()
        with autocast(images.device, self.precision):
            features = self.network.stem(to_float(images))  # type: ignore[operator]
        return features.to(torch.bfloat16 if self.precision == "bf16" else torch.float32)

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        features, moved = self.kept[self.epoch]
        rows = rows.to(features.device)
        return features[rows], moved[rows]

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        if self.val_features is None:
            self.val_features = torch.cat([self._stem(images) for images in val.images.split(BATCH)])
        return measure(network, val, self.info, self.precision, self.val_features)
