"""What the training loop asks of ink: the squared error of two numbers."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks import kinds
from tasks.learning import objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, autocast, predict, to_float


class Objective(objective.Objective):
    """Mean squared error of ink and centre, both as shares."""

    falling = kinds.falling("ink")

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        return to_float(data.images[rows]), torch.cat([data["ink"][rows], data["centre"][rows] / self.info.size], 1)

    def step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        with autocast(inputs.device, self.precision):
            outputs = self.network(inputs)
        loss = F.mse_loss(outputs.float(), targets)
        updates["network"](loss)
        return {"loss": loss.detach()}

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        outputs = torch.from_numpy(predict(network, val.images, precision=self.precision))
        ink, centre = outputs[:, :1] - val["ink"], outputs[:, 1:] - val["centre"] / self.info.size
        errors = {"ink_error": ink.abs().mean(), "centre_error": centre.abs().mean() * self.info.size}
        return {"loss": float((ink**2 + centre**2).mean() / 2), **{name: float(value) for name, value in errors.items()}}
