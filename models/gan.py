"""Generative adversarial networks (Goodfellow et al. 2014): a generator learns to pass off its images on a discriminator.

As the course has them (assignment 6 of EECS 498/598, Deep Learning for Computer Vision): noise of 96, linear layers
96-1024-1024-784 against 784-400-400-1, or after DCGAN (Radford et al. 2016) 7x7 maps and two 4x4 transposed convolutions of stride 2
against two 5x5 convolutions with max pooling. The losses are the non-saturating one (Goodfellow et al., section 3) and least squares (Mao
et al. 2017). Images lie in [-1, 1] in here, as tanh gives them.

What mends them: `r1`, a penalty on the discriminator's slope at real images (Mescheder et al. 2018, equation 9), which the recipe's rates of
the parts (two time scales: Heusel et al. 2017) and an average of the generator go with.
"""

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.generator import Generator

KIND = "generate"


class GAN(Generator):
    """The generator, which is what samples are drawn from, and in training its adversary."""

    def __init__(
        self, shape: Shape, latent: int, generator: nn.Module, discriminator: nn.Module, loss: str, r1: float, every: int
    ) -> None:
        super().__init__(shape, latent)
        self.generator, self.discriminator = generator, discriminator
        self.loss, self.r1, self.every = loss, r1, every

    def decode(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return (self.generator(noise).float() + 1) / 2

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def training_step(self, inputs: Tensor, targets: Tensor, updates: Any) -> dict[str, Tensor]:
        """The discriminator's step, then the generator's, each where it is due."""
        real = 2 * inputs - 1
        fake = self.generator(torch.randn(len(real), self.latent, device=real.device))
        scores = self.discriminator(torch.cat([real, fake.detach().to(real.dtype)])).float()
        real_scores, fake_scores = scores.chunk(2)
        judged = self._judged(real_scores, fake_scores)
        loss = judged
        if self.r1 and updates.every(self.every):
            loss = judged + self.every * self.r1 / 2 * self._slope(real)
        if updates.due("discriminator"):
            updates["discriminator"](loss)

        for parameter in self.discriminator.parameters():
            parameter.requires_grad_(False)
        fooled = self._fooled(self.discriminator(fake).float())
        if updates.due("generator"):
            updates["generator"](fooled)
        for parameter in self.discriminator.parameters():
            parameter.requires_grad_(True)
        middle = 0.5 if self.loss == "least-squares" else 0.0
        right = ((real_scores > middle).float().mean() + (fake_scores < middle).float().mean()) / 2
        return {"loss": fooled, "discriminator": judged, "discriminator_right": right}

    def _judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss on its scores."""
        if self.loss == "least-squares":
            return ((real - 1).square().mean() + fake.square().mean()) / 2
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def _fooled(self, scores: Tensor) -> Tensor:
        """The generator's loss on the scores of its images."""
        return (scores - 1).square().mean() / 2 if self.loss == "least-squares" else F.softplus(-scores).mean()

    def _slope(self, real: Tensor) -> Tensor:
        """The squared length of the discriminator's gradient at real images, their mean."""
        images = real.detach().requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            (slope,) = torch.autograd.grad(self.discriminator(images).sum(), images, create_graph=True)
        return slope.square().flatten(1).sum(1).mean()


def linear(widths: tuple[int, ...], slope: float, norm: bool) -> list[nn.Module]:
    """Linear layers, with (leaky) ReLU between them, after batch norms or without."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.LeakyReLU(slope)]
    return layers[: len(layers) - 1 - norm]


def deep_generator(shape: Shape, latent: int, width: int) -> nn.Module:
    """Noise (N, latent) to images (N, C, H, W), by two transposed convolutions. Raises ValueError for sides that are no multiple of 4."""
    if shape.size % 4:
        raise ValueError(
            f"architecture.layers: conv doubles twice, which does not give {shape.size} pixels; allowed: multiples of 4"
        )
    side = shape.size // 4
    flat = 2 * width * side**2
    return nn.Sequential(
        nn.Linear(latent, 16 * width), nn.ReLU(), nn.BatchNorm1d(16 * width),
        nn.Linear(16 * width, flat), nn.ReLU(), nn.BatchNorm1d(flat), nn.Unflatten(1, (2 * width, side, side)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(width),
        nn.ConvTranspose2d(width, shape.inputs, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def deep_discriminator(shape: Shape, width: int) -> nn.Module:
    """Images (N, C, H, W) to scores (N, 1), by two convolutions with max pooling. Raises ValueError for images that are too small."""
    side = ((shape.size - 4) // 2 - 4) // 2
    if side < 1:
        raise ValueError(f"architecture.layers: conv leaves nothing of {shape.size} pixels; allowed: 16 and more")
    flat = 2 * width * side**2
    return nn.Sequential(
        nn.Conv2d(shape.inputs, width, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 5), nn.LeakyReLU(0.01),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(flat, flat), nn.LeakyReLU(0.01), nn.Linear(flat, 1),
    )  # fmt: skip


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 96,
    layers: Literal["linear", "conv"] = "linear",
    generator: tuple[PositiveInt, ...] = (1024, 1024),
    discriminator: tuple[PositiveInt, ...] = (400, 400),
    norm: bool = False,
    loss: Literal["non-saturating", "least-squares"] = "non-saturating",
    r1: NonNegativeFloat = 0.0,
    every: PositiveInt = 1,
) -> GAN:
    """`latent`: numbers of the noise. `generator`, `discriminator`: widths of their inner layers; of `conv` one number each, the channels
    of the finest maps. `norm`: batch norm between the generator's linear layers. `r1`: weight of the penalty on the discriminator's
    slope, which is counted on every `every`-th batch, so many times as heavy."""
    if layers == "conv":
        if len(generator) != 1 or len(discriminator) != 1:
            raise ValueError("architecture: layers: conv takes one width of the generator and one of the discriminator")
        made, judge = deep_generator(shape, latent, generator[0]), deep_discriminator(shape, discriminator[0])
    else:
        pixels = shape.inputs * shape.size**2
        image = (shape.inputs, shape.size, shape.size)
        made = nn.Sequential(*linear((latent, *generator, pixels), 0.0, norm), nn.Tanh(), nn.Unflatten(1, image))
        judge = nn.Sequential(nn.Flatten(), *linear((pixels, *discriminator, 1), 0.05, norm=False))
    return GAN(shape, latent, made, judge, loss, r1, every)
