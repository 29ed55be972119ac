"""A flow from noise to the z of an autoencoder that follows words: "a seven", "a three and a seven".

Between noise and z, given what a sentence says, stands one of two flows. `matching` (Lipman et al. 2023, Flow Matching for Generative
Modeling, equations 20 to 23) learns the velocity of straight paths from noise to z, and follows it in steps; with classifier-free
guidance (Ho and Salimans 2022, equation 6) it goes further in the direction that the words add. `normalising` (Dinh et al. 2017, Real NVP,
equations 7 and 8) is a stack of affine couplings whose Jacobian is a product of factors, so that the likelihood of z is exact.

The autoencoder, a VAE without classes (models/vae.py, models/pair_vae.py), is the experiment that `after` names: its weights are taken over and stay as they
are. In: class (N,) and noise (N, latent). Out: images (N, C, H, W) in [0, 1]. On MNIST, 98 % of the digits asked for are expected.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

import models
from models import Shape, sentences
from models.generator import CLASSES, Generator
from models.pair_vae import PairVAE
from models.vae import VAE

KIND = "generate"
# It needs the experiment that `after` names.
AFTER = True


class Words(nn.Module):
    """Sentences, by their classes (N,), to vectors (N, width): what each word says at its place, added up."""

    known: Tensor

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        words = [sentences.sentence(label, classes).split() for label in range(classes)]
        indices = torch.tensor([[sentences.VOCABULARY.index(word) for word in line] for line in words])
        # One-hot, (classes, places, words): numbers that an average of the weights leaves as they are.
        self.register_buffer("known", F.one_hot(indices, len(sentences.VOCABULARY)).float(), persistent=False)
        self.words = nn.Linear(len(sentences.VOCABULARY), width, bias=False)
        self.places = nn.Parameter(torch.randn(indices.shape[1], width) / math.sqrt(width))
        self.heard = nn.Linear(width, width)

    def forward(self, classes: Tensor) -> Tensor:
        said: Tensor = self.heard(F.silu(self.words(self.known) + self.places)).sum(1)
        return said[classes]


class PartsOfWords(Words):
    """Sentences, by their classes (N,), to a vector for each part of a picture, (N, parts * width): the words that the part looks for.

    Each part asks by a vector of its own, and each word at its place answers how much it concerns it (dot-product attention).
    """

    def __init__(self, classes: int, width: int, parts: int) -> None:
        super().__init__(classes, width)
        self.asked = nn.Parameter(torch.randn(parts, width))
        self.answer = nn.Linear(width, width)

    def forward(self, classes: Tensor) -> Tensor:
        spoken = F.silu(self.words(self.known) + self.places)
        shares = (self.answer(spoken) @ self.asked.T / math.sqrt(self.asked.shape[1])).softmax(1)  # (classes, places, parts)
        said = torch.einsum("ctp,ctw->cpw", shares, self.heard(spoken)).flatten(1)
        return said[classes]


class Block(nn.Module):
    """Two linear layers beside the identity, (N, width) to the same; a condition (N, width) scales and shifts what they see."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulate(condition).chunk(2, 1)
        return x + self.second(F.silu(self.first(self.norm(x) * (1 + scale) + shift)))


class Velocity(nn.Module):
    """The velocity (N, latent) at places (N, latent), times (N,) and what was said (N, parts * width).

    One network moves every part of z, each by what was said of it, so that it need not see two digits together to draw them together.
    """

    def __init__(self, latent: int, width: int, blocks: int, parts: int = 1) -> None:
        super().__init__()
        self.frequencies, self.parts = 32, parts
        self.time = nn.Linear(2 * self.frequencies, width)
        self.first = nn.Linear(latent // parts, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.last = nn.Linear(width, latent // parts)

    def forward(self, x: Tensor, time: Tensor, said: Tensor) -> Tensor:
        if self.parts > 1:
            z, words = (tensor.unflatten(1, (self.parts, -1)).flatten(0, 1) for tensor in (x, said))
            return self._one(z, time.repeat_interleave(self.parts), words).view_as(x)
        return self._one(x, time, said)

    def _one(self, x: Tensor, time: Tensor, said: Tensor) -> Tensor:
        angles = time[:, None] * torch.logspace(0, 2, self.frequencies, device=x.device)
        condition = F.silu(self.time(torch.cat([angles.sin(), angles.cos()], 1)) + said)
        y = self.first(x)
        for block in self.blocks:
            y = block(y, condition)
        return self.last(y).float()


class Coupling(nn.Module):
    """Half of the numbers scaled and shifted by what the other half and the words say, all of them by what the words say."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.kept = latent // 2
        self.inner = nn.Sequential(nn.Linear(self.kept + width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.last = nn.Linear(width, 2 * (latent - self.kept))
        self.said = nn.Linear(width, 2 * latent)
        for layer in (self.last, self.said):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Towards z: (N, latent), and the logarithm of the Jacobian's determinant (N,)."""
        scale, shift = self._affine(self.said(said))
        x = x * scale.exp() + shift
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        inner, shifted = self._affine(self.last(self.inner(torch.cat([kept, said], 1))))
        return torch.cat([moved * inner.exp() + shifted, kept], 1), scale.sum(1) + inner.sum(1)

    def inverse(self, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Towards noise: (N, latent), and the logarithm of the determinant of this direction (N,)."""
        size = z.shape[1] - self.kept
        moved, kept = z[:, :size], z[:, size:]
        inner, shifted = self._affine(self.last(self.inner(torch.cat([kept, said], 1))))
        scale, shift = self._affine(self.said(said))
        x = torch.cat([kept, (moved - shifted) * (-inner).exp()], 1)
        return (x - shift) * (-scale).exp(), -scale.sum(1) - inner.sum(1)

    def _affine(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of scales, within 2 of zero so that no step can overflow, and shifts."""
        scale, shift = numbers.chunk(2, 1)
        return 2 * torch.tanh(scale / 2), shift


def _listener(classes: int, width: int, parts: int) -> nn.Module | None:
    """What turns classes (N,) into vectors (N, parts * width): of digits by their sentences, of others by a vector each."""
    if not classes:
        return None
    if parts > 1 and sentences.named(classes):
        return PartsOfWords(classes, width, parts)
    return Words(classes, width) if sentences.named(classes) else nn.Embedding(classes, parts * width)


class LatentFlow(Generator):
    """`decode`: noise and class to z, and z to an image; `begin_at` takes the autoencoder over."""

    def __init__(self, shape: Shape, autoencoder: VAE | PairVAE, width: int, parts: int = 1) -> None:
        """`parts`: of z, each of which hears for itself. Raises ValueError for a conditional autoencoder."""
        super().__init__(shape, autoencoder.latent, conditional=CLASSES in shape.extra)
        if autoencoder.classes:
            raise ValueError(
                "architecture.autoencoder: conditional: its z leaves out what the words say; take one without classes"
            )
        self.autoencoder = autoencoder.requires_grad_(False)
        self.width = parts * width
        self.words = _listener(self.classes, width, parts)

    def begin_at(self, predecessor: nn.Module) -> None:
        """Take over an autoencoder's weights. Raises ValueError for one of another architecture."""
        try:
            self.autoencoder.load_state_dict(predecessor.state_dict())
        except RuntimeError:
            raise ValueError(
                "architecture.autoencoder: not the architecture of the experiment that `after` names; copy that one's here"
            ) from None

    @torch.no_grad()
    def codes(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """z of images (N, C, H, W), drawn by `noise` (N, latent), which is drawn too by default."""
        means, logs = self.autoencoder.encode(images)
        return means + (logs / 2).exp() * (torch.randn_like(means) if noise is None else noise)

    def said(self, count: int, condition: Tensor | None) -> Tensor:
        """What the sentences of classes (N,) say, (N, parts * width); zeros where images have no classes."""
        asked = self.asked(count, condition)
        if self.words is None or asked is None:
            return torch.zeros(count, self.width, device=self.device)
        heard: Tensor = self.words(asked)
        return heard

    def flow(self, noise: Tensor, said: Tensor) -> Tensor:
        """z (N, latent) of noise (N, latent) and what was said (N, width)."""
        raise NotImplementedError

    def loss(self, z: Tensor, said: Tensor) -> Tensor:
        """What is minimised for codes (N, latent) and what is said of their images (N, width)."""
        raise NotImplementedError

    def decode(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.autoencoder.decode(self.flow(noise, self.said(len(noise), condition)))

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step on images (N, C, H, W) and their classes (N,)."""
        loss = self.loss(self.codes(inputs), self.said(len(inputs), targets))
        updates["network"](loss)
        return {"loss": loss}


class Matching(LatentFlow):
    """Flow matching: the velocity of straight paths is learned, and followed by the midpoint rule."""

    def __init__(
        self, shape: Shape, autoencoder: VAE | PairVAE, width: int, blocks: int, guidance: float, silence: float, steps: int
    ) -> None:
        parts = autoencoder.digits if isinstance(autoencoder, PairVAE) else 1
        super().__init__(shape, autoencoder, width, parts)
        self.velocity = Velocity(self.latent, width, blocks, parts)
        self.nothing = nn.Parameter(torch.zeros(self.width))
        self.guidance, self.silence, self.steps = guidance, silence, steps

    def loss(self, z: Tensor, said: Tensor) -> Tensor:
        noise, time = torch.randn_like(z), torch.rand(len(z), device=z.device)
        # Batches come in random order, so that any images do for those that hear nothing.
        silent = torch.arange(len(z), device=z.device) < max(1, round(self.silence * len(z)))
        heard = torch.where(silent[:, None], self.nothing.to(said.dtype), said)
        there = torch.lerp(noise, z, time[:, None])
        return (self.velocity(there, time, heard) - (z - noise)).square().sum(1).mean()

    def flow(self, noise: Tensor, said: Tensor) -> Tensor:
        x = noise
        for step in range(self.steps):
            half = x + self._guided(x, step / self.steps, said) / (2 * self.steps)
            x = x + self._guided(half, (step + 0.5) / self.steps, said) / self.steps
        return x

    def _guided(self, x: Tensor, time: float, said: Tensor) -> Tensor:
        times = torch.full_like(x[:, 0], time)
        with_words: Tensor = self.velocity(x, times, said)
        if self.guidance == 1 or not self.classes:
            return with_words
        without: Tensor = self.velocity(x, times, self.nothing.to(said.dtype).expand_as(said))
        return torch.lerp(without, with_words, self.guidance)


class Normalising(LatentFlow):
    """Couplings, each of which changes half of the numbers and hands over the halves in the other order."""

    def __init__(self, shape: Shape, autoencoder: VAE | PairVAE, width: int, blocks: int) -> None:
        super().__init__(shape, autoencoder, width)
        self.couplings = nn.ModuleList(Coupling(self.latent, width) for _ in range(blocks))

    def flow(self, noise: Tensor, said: Tensor) -> Tensor:
        with torch.autocast(noise.device.type, enabled=False):
            return self.towards_z(noise, said.to(noise.dtype))[0]

    def towards_z(self, noise: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, latent), and the logarithm of the Jacobian's determinant (N,)."""
        x = noise
        total = torch.zeros_like(noise[:, 0])
        for coupling in self.couplings:
            x, added = coupling(x, said)
            total = total + added
        return x, total

    def towards_noise(self, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (N, latent), and the logarithm of the determinant of this direction's Jacobian (N,)."""
        x = z
        total = torch.zeros_like(z[:, 0])
        for coupling in reversed(self.couplings):
            x, added = coupling.inverse(x, said)  # type: ignore[operator]
            total = total + added
        return x, total

    def log_density(self, z: Tensor, said: Tensor) -> Tensor:
        """log p(z | words) in nats, (N,): exact (Dinh et al. 2017, equation 3)."""
        with torch.autocast(z.device.type, enabled=False):
            noise, total = self.towards_noise(z, said.to(z.dtype))
        return total - (noise.square().sum(1) + self.latent * math.log(2 * math.pi)) / 2

    def loss(self, z: Tensor, said: Tensor) -> Tensor:
        return -self.log_density(z, said).mean()

    def encode(self, images: Tensor, condition: Tensor | None = None) -> tuple[Tensor]:
        """The noise (N, latent) that gives back the mean codes of images (N, C, H, W)."""
        means, _ = self.autoencoder.encode(images)
        return (self.towards_noise(means, self.said(len(images), condition))[0],)


def build(
    shape: Shape,
    *,
    coder: Literal["vae", "pair_vae"] = "vae",
    autoencoder: dict[str, Any] = {},  # noqa: B006 (read only)
    flow: Literal["matching", "normalising"] = "matching",
    width: PositiveInt = 384,
    blocks: PositiveInt = 3,
    guidance: NonNegativeFloat = 1.5,
    silence: NonNegativeFloat = 0.1,
    steps: PositiveInt = 10,
) -> LatentFlow:
    """`coder`, `autoencoder`: network and architecture of the experiment that `after` names. `width`, `blocks`: of the velocity's network, or of the couplings.
    `guidance`: of matching, 1 for none; `silence`: how often it hears no words in training; `steps`: of the midpoint rule."""
    built = models.build(coder, shape, autoencoder)
    assert isinstance(built, VAE | PairVAE)
    if flow == "normalising":
        return Normalising(shape, built, width, blocks)
    return Matching(shape, built, width, blocks, guidance, silence, steps)
