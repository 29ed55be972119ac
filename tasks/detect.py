"""What the training loop asks of the task `detect`: boxes as tensors, augmentation that moves them, and measuring on validation.

Boxes are float (N, M, 6): x1, y1, x2, y2 (pixels), class, difficult; an image's rows that are none have class -1.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from tasks import detections, training
from tasks.config import Train
from tasks.data import Data, Info

COLUMNS = [*detections.CORNERS, "label", "difficult"]
# Detectors' images are large: more at once would not be faster.
BATCH = 32


def boxes(data: Data) -> Tensor:
    """A split's boxes, float32 (N, M, 6), M that of the image with the most."""
    table = data.boxes.sort_values("image", kind="stable")
    image = table["image"].to_numpy()
    place = np.arange(len(table)) - np.searchsorted(image, image)
    padded = np.zeros((len(data), max(1, place.max(initial=0) + 1), len(COLUMNS)), np.float32)
    padded[..., 4] = -1
    padded[image, place] = table[COLUMNS].to_numpy(np.float32)
    return torch.from_numpy(padded)


def objects(padded: Tensor) -> pd.DataFrame:
    """The table (`tasks.data.Data.boxes`) that boxes (N, M, 6) were made of."""
    padded = padded.cpu()
    image, place = (padded[..., 4] >= 0).nonzero(as_tuple=True)
    table = pd.DataFrame(padded[image, place].numpy(), columns=COLUMNS)
    table.insert(0, "image", image.numpy())
    return table.astype({"label": np.int64, "difficult": bool})


def predict(network: nn.Module, images: np.ndarray | Tensor, precision: str = "bf16") -> np.ndarray:
    """Detections, float32 (N, K, 6), of uint8 images (N, H, W, C)."""
    return training.predict(network, images, precision=precision, batch_size=BATCH)


@torch.no_grad()
def measure(network: nn.Module, val: training.Examples, info: Info, precision: str = "bf16") -> dict[str, float]:
    """The loss, and `tasks.detections.summary`, on validation; the network is left in evaluation mode."""
    network.eval()
    device = val.images.device
    total = 0.0
    for rows in torch.arange(len(val)).split(BATCH):
        with training.autocast(device, precision):
            losses = network.losses(training.to_float(val.images[rows]), val.targets[rows])  # type: ignore[operator]
        total += sum(float(loss) for loss in losses.values()) * len(rows)
    found = predict(network, val.images, precision)
    return {"loss": total / len(val), **detections.summary(found, objects(val.targets), info.classes)}


class Detect:
    """The losses are the network's own (`models.boxes.Detector`)."""

    def __init__(self, recipe: Train, info: Info, network: nn.Module) -> None:
        self.recipe, self.info = recipe, info

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError("a detector takes its own steps")

    def targets(self, raw: Tensor) -> Tensor:
        return raw

    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]:
        return detections.summary(outputs.cpu().numpy(), objects(raw), self.info.classes)

    def measure(self, network: nn.Module, val: training.Examples) -> dict[str, float]:
        return measure(network, val, self.info, self.recipe.precision)
