"""Variational autoencoders (Kingma and Welling 2014, Auto-Encoding Variational Bayes), conditional ones too (Sohn et al. 2015).

An encoder gives the mean and the variance of z for an image, a decoder the probability of ink for each pixel of z's image. As the
course has it (assignment 6 of EECS 498/598, Deep Learning for Computer Vision): three linear layers of 400 each way, z of 15, the class
as a one-hot vector beside the image and beside z. `layers: conv` takes two 4x4 convolutions of stride 2 each way in place of linear ones.

With a prior that is no normal distribution (`tails`, Student's t with so many degrees of freedom) the divergence has no closed form: it is
estimated from the z that is drawn anyway, as log q(z|x) - log p(z). Bounds are in nats; -104 are expected of the linear network on
MNIST's binarised test images, -96 of the convolutional one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.distributions import StudentT
from torch.nn import functional as F

from models import Shape
from models.generator import Generator

KIND = "generate"
# Images of an importance sample that are decoded at once.
BLOCK = 10_000


class VAE(Generator):
    """`encode`: images and their classes to means and logarithms of variances, (N, latent) each; `decode`: back to probabilities."""

    def __init__(
        self, shape: Shape, latent: int, widths: Sequence[int], layers: str, conditional: bool, tails: float | None, beta: float
    ) -> None:
        """Raises ValueError for images that convolutions of stride 2 do not fit."""
        super().__init__(shape, latent, conditional)
        self.tails, self.beta = tails, beta
        pixels, hidden = math.prod(self.image), widths
        self.eye: nn.Module = nn.Flatten()
        self.hand: nn.Module = nn.Sequential(nn.Linear(hidden[0], pixels), nn.Unflatten(1, self.image))
        if layers == "conv":
            if shape.size % 4:
                raise ValueError(f"architecture.layers: conv halves {shape.size} pixels twice; allowed: multiples of 4")
            (width, *hidden), side, channels = widths, shape.size // 4, shape.inputs
            pixels = 2 * width * side**2
            self.eye = nn.Sequential(
                nn.Conv2d(channels, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(), nn.Flatten()
            )
            self.hand = nn.Sequential(
                nn.Linear(hidden[0], pixels), nn.ReLU(), nn.Unflatten(1, (2 * width, side, side)),
                nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, channels, 4, 2, 1),
            )  # fmt: skip
        self.encoder = nn.Sequential(*_linear((pixels + self.classes, *hidden)))
        self.moments = nn.Linear(hidden[-1], 2 * latent)
        self.decoder = nn.Sequential(*_linear((latent + self.classes, *reversed(hidden))))

    def encode(self, images: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of z, (N, latent) each, of images (N, C, H, W)."""
        means, logs = self.moments(self.encoder(self._beside(self.eye(images), condition))).float().chunk(2, 1)
        return means, logs

    def logits(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of the probability of ink, (N, C, H, W)."""
        drawn: Tensor = self.hand(self.decoder(self._beside(z, condition)))
        return drawn.float()

    def decode(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.logits(noise, condition).sigmoid()

    def _beside(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The class as a one-hot vector behind features (N, D)."""
        if not self.classes:
            return x
        assert condition is not None
        return torch.cat([x, F.one_hot(condition, self.classes).to(x.dtype)], 1)

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = super().noise(count, generator)
        if self.tails is None:
            return drawn
        # Student's t: a normal number over the root of a mean of squares; the degrees of freedom are whole.
        squares = torch.randn(count, self.latent, int(self.tails), generator=generator).square().mean(2)
        return drawn / squares.sqrt().to(drawn.device)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (...,) of z (..., latent)."""
        if self.tails is not None:
            return StudentT(z.new_tensor(float(self.tails))).log_prob(z).sum(-1)
        return _log_normal(z, torch.zeros_like(z), torch.zeros_like(z))

    def terms(self, images: Tensor, seen: Tensor, condition: Tensor | None, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of reconstruction and of divergence, (N,) each, for one z an image, drawn by `noise` (N, latent).

        `images` are what is encoded, `seen` what the decoder has to explain, both (N, C, H, W) in [0, 1].
        """
        means, logs = self.encode(images, condition)
        z = means + (logs / 2).exp() * noise
        distance = F.binary_cross_entropy_with_logits(self.logits(z, condition), seen, reduction="none").flatten(1).sum(1)
        if self.tails is None:
            divergence = (means.square() + logs.exp() - 1 - logs).sum(1) / 2
        else:
            divergence = _log_normal(z, means, logs) - self.log_prior(z)
        return distance, divergence

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step on the negative evidence lower bound (equation 10, one z an image), in nats an image. `targets`: classes (N,)."""
        condition = targets if self.classes else None
        noise = torch.randn(len(inputs), self.latent, device=inputs.device)
        distance, divergence = (term.mean() for term in self.terms(inputs, inputs, condition, noise))
        updates["network"](distance + self.beta * divergence)
        return {"loss": distance + divergence, "reconstruction": distance, "divergence": divergence}

    @torch.no_grad()
    def elbo(self, images: Tensor, condition: Tensor | None, generator: torch.Generator) -> Tensor:
        """The evidence lower bound of binary images, in nats, (N,): one z an image."""
        noise = torch.randn(len(images), self.latent, generator=generator).to(images.device)
        distance, divergence = self.terms(images, images, condition if self.classes else None, noise)
        return -distance - divergence

    @torch.no_grad()
    def nll(self, images: Tensor, condition: Tensor | None, generator: torch.Generator, samples: int = 200) -> Tensor:
        """The negative logarithm of the likelihood of binary images, in nats, (N,), from importance samples.

        Burda et al. 2016, Importance Weighted Autoencoders, equation 8: on average too high, and right for many samples.
        """
        found = []
        for rows in torch.arange(len(images)).split(max(1, BLOCK // samples)):
            batch = images[rows]
            classes = condition[rows] if condition is not None and self.classes else None
            means, logs = (moment[:, None].expand(-1, samples, -1) for moment in self.encode(batch, classes))
            z = means + (logs / 2).exp() * torch.randn(*means.shape, generator=generator).to(means.device)
            repeated = classes.repeat_interleave(samples) if classes is not None else None
            logits = self.logits(z.flatten(0, 1), repeated).flatten(1).unflatten(0, (len(batch), samples))
            # log p(x|z), without a copy of the images for each sample.
            explained = torch.einsum("nsp,np->ns", logits, batch.flatten(1)) - F.softplus(logits).sum(2)
            weights = explained + self.log_prior(z) - _log_normal(z, means, logs)
            found.append(math.log(samples) - weights.logsumexp(1))
        return torch.cat(found)

    def forward(self, x: Tensor) -> Tensor:
        """Each image (N, C, H, W) after its mean code; conditional ones answer with the classes in their turn."""
        condition = self.asked(len(x))
        return self.decode(self.encode(x, condition)[0], condition)


def _linear(widths: Sequence[int]) -> list[nn.Module]:
    return [layer for inputs, outputs in pairwise(widths) for layer in (nn.Linear(inputs, outputs), nn.ReLU())]


def _log_normal(z: Tensor, means: Tensor, logs: Tensor) -> Tensor:
    """The logarithm of a normal density in nats, (...,) of (..., D) each; `logs`: of the variances."""
    return -((z - means).square() / logs.exp() + logs + math.log(2 * math.pi)).sum(-1) / 2


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 15,
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (400, 400, 400),
    layers: Literal["linear", "conv"] = "linear",
    conditional: bool = False,
    tails: Annotated[int, Field(ge=1)] | None = None,
    beta: NonNegativeFloat = 1.0,
) -> VAE:
    """`latent`: numbers of z. `widths`: of the linear layers, the decoder's the same in number; of `conv` first the channels of the first
    convolution, which the second doubles, then the linear layers. `conditional`: the class is given to both sides. `tails`: degrees of
    freedom of the prior, Student's t; a normal distribution without. `beta`: weight of the divergence in training (Higgins et al. 2017), below 1 for
    an autoencoder in whose z another network works."""
    return VAE(shape, latent, widths, layers, conditional, tails, beta)
