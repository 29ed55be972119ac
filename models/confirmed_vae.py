"""A conditional variational autoencoder that learns to be recognised: images of a class that is asked for have to look like it.

A conditional one (models/vae.py) never sees its own samples in training, so that noise of one class's habits, with another's name beside it,
comes out as neither. Here a small classifier learns from the real images at the same time, and the decoder is told off where that does not
find the class in a sample: the classification loss of CVAE-GAN (Bao et al. 2017, section 3.2), without its adversary. The classifier
takes no part in anything but training. The bound stays what it was, and is measured in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.vae import VAE

KIND = "generate"


class ConfirmedVAE(VAE):
    """A conditional VAE, and `reader`, the classifier of its training: images (N, C, H, W) to logits (N, classes)."""

    def __init__(self, shape: Shape, latent: int, widths: Sequence[int], layers: str, confirm: float, reader: int) -> None:
        """Raises ValueError for images without classes, and as a VAE does."""
        super().__init__(shape, latent, widths, layers, conditional=True, tails=None, beta=1.0)
        self.confirm = confirm
        self.reader = nn.Sequential(
            nn.Conv2d(shape.inputs, reader, 5, 2, 2), nn.ReLU(), nn.Conv2d(reader, 2 * reader, 5, 2, 2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * reader, self.classes),
        )  # fmt: skip

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step on the negative bound, on the reader's loss on real images, and on its loss on samples, which moves the decoder alone."""
        noise = torch.randn(2 * len(inputs), self.latent, device=inputs.device)
        distance, divergence = (term.mean() for term in self.terms(inputs, inputs, targets, noise[: len(inputs)]))
        read = F.cross_entropy(self.reader(inputs).float(), targets)
        self.reader.requires_grad_(False)
        confirmed = F.cross_entropy(self.reader(self.decode(noise[len(inputs) :], targets)).float(), targets)
        self.reader.requires_grad_(True)
        updates["network"](distance + divergence + read + self.confirm * confirmed)
        return {
            "loss": distance + divergence,
            "reconstruction": distance,
            "divergence": divergence,
            "read": read,
            "confirmed": confirmed,
        }


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 15,
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (400, 400, 400),
    layers: Literal["linear", "conv"] = "linear",
    confirm: PositiveFloat = 10.0,
    reader: PositiveInt = 16,
) -> ConfirmedVAE:
    """`latent`, `widths`, `layers`: as of vae. `confirm`: weight of the loss on samples, beside nats an image. `reader`: channels of the
    classifier's first convolution, which the second doubles."""
    return ConfirmedVAE(shape, latent, widths, layers, confirm, reader)
