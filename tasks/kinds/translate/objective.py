"""What the training loop asks of image to image: one distance between pictures, and a strip of outputs an epoch."""

from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from tasks import kinds
from tasks.datasets.data import Info
from tasks.kinds.translate import metrics
from tasks.learning.objective import OneLoss
from tasks.learning.tensors import Examples, predict, to_bytes, to_float

# Validation images of the strip, at even distances.
PICTURES = 6


class Objective(OneLoss):
    """L1 or squared error between images (N, C, H, W) in [0, 1]."""

    falling = kinds.falling("translate")

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        super().__init__(recipe, info, network, precision, predecessor)
        self.distance = F.l1_loss if recipe.loss == "l1" else F.mse_loss

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.distance(outputs.float(), targets)

    def targets(self, raw: Tensor) -> Tensor:
        return to_float(raw)

    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]:
        loss = self.distance(outputs, to_float(raw)).item()
        return {"loss": loss, **metrics.translate(to_bytes(outputs), raw.cpu().numpy())}

    def picture(self, network: nn.Module, val: Examples) -> np.ndarray:
        """The outputs of a few fixed validation images side by side."""
        chosen = np.linspace(0, len(val) - 1, min(PICTURES, len(val))).astype(int)
        return np.concatenate(list(to_bytes(predict(network, val.images[chosen], precision=self.precision))), axis=1)
