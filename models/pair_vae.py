"""A variational autoencoder of pairs: one autoencoder (models/vae.py) sees both halves of the strip in the middle of a square.

Both halves are of half the square's side; what lies above and below the strip is black. z is that of the left half, then that of the right
one, so that what is learned of a digit holds on either side and beside any other. Images (N, C, H, H) in [0, 1]; z (N, latent).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from models import Shape, vae
from models.generator import Generator

KIND = "generate"


class PairVAE(Generator):
    """`encode`: images to means and logarithms of variances, (N, latent) each; `decode`: back to probabilities."""

    digits = 2  # an image, each with a part of z

    def __init__(self, shape: Shape, latent: int, widths: Sequence[int], beta: float) -> None:
        """Raises ValueError for sides and numbers that do not halve."""
        if latent % 2 or shape.size % 4:
            raise ValueError(
                f"network: pair_vae halves {latent} latent numbers and, twice, {shape.size} pixels; take multiples of 4"
            )
        super().__init__(shape, latent)
        self.side = shape.size // 2
        self.one = vae.build(Shape(shape.inputs, shape.outputs, self.side), latent=latent // 2, widths=tuple(widths), beta=beta)

    def halves(self, images: Tensor) -> Tensor:
        """The left halves of images (N, C, H, H), then the right ones: (2 N, C, H / 2, H / 2)."""
        top = self.side // 2
        return torch.cat(images[:, :, top : top + self.side].split(self.side, 3))

    def encode(self, images: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        means, logs = (torch.cat(moment.chunk(2), 1) for moment in self.one.encode(self.halves(images)))
        return means, logs

    def decode(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        left, right = (self.one.decode(part) for part in noise.chunk(2, 1))
        above = self.side // 2
        return F.pad(torch.cat([left, right], 3), (0, 0, above, self.side - above))

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step of the one autoencoder on both halves; losses are nats a half."""
        return self.one.training_step(self.halves(inputs), targets, updates)

    def elbo(self, images: Tensor, condition: Tensor | None, generator: torch.Generator) -> Tensor:
        """The evidence lower bound of binary images in nats, (N,): that of both halves."""
        return torch.stack(self.one.elbo(self.halves(images), None, generator).chunk(2)).sum(0)

    def nll(self, images: Tensor, condition: Tensor | None, generator: torch.Generator, samples: int = 200) -> Tensor:
        """The negative logarithm of the likelihood of binary images in nats, (N,): that of both halves, whose priors are independent."""
        return torch.stack(self.one.nll(self.halves(images), None, generator, samples).chunk(2)).sum(0)

    def forward(self, x: Tensor) -> Tensor:
        """Each image (N, C, H, H) after its mean code."""
        return self.decode(self.encode(x)[0])


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 40,
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (400, 400, 400),
    beta: NonNegativeFloat = 1.0,
) -> PairVAE:
    """`latent`: numbers of z, half of them each half's. `widths`, `beta`: as the VAE's."""
    return PairVAE(shape, latent, widths, beta)
