"""A style-based generator (Karras et al. 2019, A Style-Based Generator Architecture for Generative Adversarial Networks).

Noise z becomes a style w by eight linear layers. An image grows out of a learned constant: convolutions from coarse to fine, after each of
which noise is added, and a learned affine map of w sets each channel's mean and deviation (AdaIN, equation 1). `modulated` scales the
convolutions' weights by w in place of that (Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, equations 1 to 3).
The discriminator is a plain one with the deviation over the batch as a channel; the losses are non-saturating, with R1 every 16 steps.
It may see all images through random changes (`augment`).

Other than published: sizes from 16 px on, no progressive growing, no blur but bilinear resampling, and small
widths. In: z (N, latent). Out: images (N, C, H, W) in [0, 1]; they lie in [-1, 1] in here.
"""

import math
from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.diff_augment import diff_augment
from models.generator import Generator

KIND = "generate"
# How much the running mean of w keeps of itself, and the share of images whose styles are two.
KEEP, MIXED = 0.995, 0.9
# How many layers the mapping has, and by how much slower it learns than the rest.
LAYERS, SLOWER = 8, 0.01
# Images over which the discriminator sees a deviation.
GROUP = 4


class Linear(nn.Module):
    """A linear layer of weights that are normal at first and scaled as they are used, so that all learn at one rate."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution of the same kind, (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = 1 / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def leaky(x: Tensor) -> Tensor:
    """A leaky ReLU that keeps the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normal(x: Tensor) -> Tensor:
    """Each map of x (N, C, H, W) with the mean 0 and the deviation 1; bf16 has too few digits for that, so it is done in fp32.

    `F.instance_norm` does the same, and gives back another order of memory than `channels_last`, which the next layers would pay for.
    """
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2).float()
    centred = pixels - pixels.mean(1, keepdim=True)
    scaled = centred * (centred.square().mean(1, keepdim=True) + 1e-5).rsqrt()
    return scaled.to(x.dtype).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class Mapping(nn.Sequential):
    """z (N, latent) to w (N, latent)."""

    def __init__(self, latent: int) -> None:
        super().__init__(*(Linear(latent, latent, SLOWER) for _ in range(LAYERS)))

    def forward(self, z: Tensor) -> Tensor:
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self:
            x = leaky(layer(x))
        return x


class Styled(nn.Module):
    """A convolution whose result, with noise added, has the style that w says; `up`: twice the size first."""

    fixed: Tensor

    def __init__(self, inputs: int, outputs: int, side: int, latent: int, up: bool, modulated: bool) -> None:
        super().__init__()
        self.up, self.modulated = up, modulated
        self.conv = Conv(inputs, outputs)
        self.style = Linear(latent, inputs if modulated else 2 * outputs)
        self.strength = nn.Parameter(torch.zeros(outputs, 1, 1))
        # What evaluation adds, the same for all images, so that a style alone decides.
        self.register_buffer("fixed", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        style = self.style(w)[:, :, None, None]
        x = self._modulated(x, style + 1) if self.modulated else self.conv(x)
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype) if self.training else self.fixed.to(x.dtype)
        x = leaky(x + self.strength * noise)
        if self.modulated:
            return x
        scale, shift = style.chunk(2, 1)
        return normal(x) * (1 + scale) + shift

    def _modulated(self, x: Tensor, style: Tensor) -> Tensor:
        """Weights scaled by the style, and so that each output has the variance 1: by scaling what goes in and what comes out."""
        weight = self.conv.weight * self.conv.scale
        squares = weight.square().sum((2, 3)) @ style[:, :, 0, 0].float().square().T
        y = F.conv2d(x * style.to(x.dtype), weight, padding=self.conv.padding)
        return y * (squares.T + 1e-8).rsqrt()[:, :, None, None].to(y.dtype) + self.conv.bias[:, None, None]


class Synthesis(nn.Module):
    """Styles (N, layers, latent) to images (N, C, H, W) in [-1, 1]."""

    def __init__(self, channels: int, sides: list[int], widths: list[int], latent: int, modulated: bool) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], sides[0], sides[0]))
        layers = []
        for level, (side, width) in enumerate(zip(sides, widths)):
            before = widths[max(0, level - 1)]
            layers.append(Styled(before, width, side, latent, up=level > 0, modulated=modulated))
            layers.append(Styled(width, width, side, latent, up=False, modulated=modulated))
        self.layers = nn.ModuleList(layers)
        self.colour = Conv(widths[-1], channels, 1)

    def forward(self, styles: Tensor) -> Tensor:
        x = self.constant.expand(len(styles), -1, -1, -1)
        for number, layer in enumerate(self.layers):
            x = layer(x, styles[:, number])
        return self.colour(x)


class Maker(nn.Module):
    """Mapping, synthesis, and the running mean of w: the part that is averaged."""

    mean: Tensor

    def __init__(self, channels: int, sides: list[int], widths: list[int], latent: int, modulated: bool) -> None:
        super().__init__()
        self.mapping = Mapping(latent)
        self.synthesis = Synthesis(channels, sides, widths, latent, modulated)
        self.register_buffer("mean", torch.zeros(latent))

    @property
    def layers(self) -> int:
        return len(self.synthesis.layers)

    def styles(self, w: Tensor, other: Tensor | None = None, until: int | Tensor = 0) -> Tensor:
        """Styles (N, layers, latent): w (N, latent) for the layers below `until` (or (N, 1)), `other` for those from there on."""
        repeated = w[:, None].expand(-1, self.layers, -1)
        if other is None:
            return repeated
        coarse = torch.arange(self.layers, device=w.device)[None] < until
        return torch.where(coarse[:, :, None], repeated, other[:, None])


class Discriminator(nn.Module):
    """Images (N, C, H, W) to scores (N, 1)."""

    def __init__(self, channels: int, sides: list[int], widths: list[int]) -> None:
        super().__init__()
        self.first = Conv(channels, widths[-1], 1)
        finer = [*reversed(widths)]
        self.levels = nn.ModuleList(
            nn.Sequential(Conv(width, width), _Leaky(), Conv(width, after), _Leaky(), nn.AvgPool2d(2))
            for width, after in pairwise(finer)
        )
        self.last = Conv(widths[0] + 1, widths[0])
        self.hidden, self.score = Linear(widths[0] * sides[0] ** 2, widths[0]), Linear(widths[0], 1)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky(self.first(x))
        for level in self.levels:
            x = level(x)
        x = leaky(self.last(torch.cat([x, _deviation(x)], 1)))
        return self.score(leaky(self.hidden(x.flatten(1))))


class _Leaky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return leaky(x)


def _as_they_are(x: Tensor) -> Tensor:
    return x


def _deviation(x: Tensor) -> Tensor:
    """The mean deviation over groups of images, as a channel: what tells a generator off that makes the same image again."""
    group = GROUP if len(x) % GROUP == 0 else len(x)
    grouped = x.float().unflatten(0, (group, -1))
    deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


class StyleGAN(Generator):
    """`decode`: z to images; `mapping`, `synthesise` and `mix` for what lies between; in training with its adversary."""

    def __init__(
        self, shape: Shape, latent: int, width: int, modulated: bool, r1: float, every: int, augment: bool = False
    ) -> None:
        """Raises ValueError for sides that do not come out of 4 to 7 pixels by doubling."""
        super().__init__(shape, latent)
        sides = [shape.size]
        while sides[0] >= 8 and sides[0] % 2 == 0:
            sides.insert(0, sides[0] // 2)
        if not 4 <= sides[0] <= 7 or len(sides) < 2:
            raise ValueError(f"network: stylegan doubles 4 to 7 pixels, which does not give {shape.size}; take 16, 28, 32 or 64")
        widths = [width * min(4, 2**level) for level in range(len(sides))][::-1]
        self.generator = Maker(shape.inputs, sides, widths, latent, modulated)
        self.discriminator = Discriminator(shape.inputs, sides, widths)
        self.r1, self.every = r1, every
        self.shown = diff_augment if augment else _as_they_are

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def mapping(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """w (N, latent) of z (N, latent); `truncation` 0 is the mean of all, 1 as it comes (section B)."""
        w: Tensor = self.generator.mapping(z).float()
        return torch.lerp(self.generator.mean, w, truncation)

    def synthesise(self, styles: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of w (N, latent), or of styles (N, layers, latent)."""
        styles = self.generator.styles(styles) if styles.ndim == 2 else styles
        return (self.generator.synthesis(styles).float() + 1) / 2

    def mix(self, coarse: Tensor, fine: Tensor, until: int) -> Tensor:
        """Images of w (N, latent) of `coarse` for the first `until` layers, of `fine` for the others (section 3.1)."""
        return self.synthesise(self.generator.styles(coarse, fine, until))

    def decode(self, noise: Tensor, condition: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        return self.synthesise(self.mapping(noise, truncation)).clamp(0, 1)

    def training_step(self, inputs: Tensor, targets: Tensor, updates: Any) -> dict[str, Tensor]:
        """The discriminator's step, then the generator's, each where it is due."""
        real = 2 * inputs - 1
        fake = self._fake(len(real))
        scores = self.discriminator(self.shown(torch.cat([real, fake.detach().to(real.dtype)]))).float()
        real_scores, fake_scores = scores.chunk(2)
        judged = F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
        loss = judged
        if self.r1 and updates.every(self.every):
            loss = judged + self.every * self.r1 / 2 * self._slope(self.shown(real))
        if updates.due("discriminator"):
            updates["discriminator"](loss)

        self.discriminator.requires_grad_(False)
        fooled = F.softplus(-self.discriminator(self.shown(fake)).float()).mean()
        if updates.due("generator"):
            updates["generator"](fooled)
        self.discriminator.requires_grad_(True)
        right = ((real_scores > 0).float().mean() + (fake_scores < 0).float().mean()) / 2
        return {"loss": fooled, "discriminator": judged, "discriminator_right": right}

    def _fake(self, count: int) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]; most have the style of another from some layer on."""
        w, other = self.generator.mapping(torch.randn(2 * count, self.latent, device=self.device)).chunk(2)
        with torch.no_grad():
            self.generator.mean.lerp_(w.float().mean(0), 1 - KEEP)
        until = torch.randint(1, self.generator.layers, (count, 1), device=self.device)
        whole = torch.rand(count, 1, device=self.device) > MIXED
        images: Tensor = self.generator.synthesis(
            self.generator.styles(w, other, until.masked_fill(whole, self.generator.layers))
        )
        return images

    def _slope(self, real: Tensor) -> Tensor:
        """The squared length of the discriminator's gradient at real images, their mean (Mescheder et al. 2018, equation 9)."""
        images = real.detach().requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            (slope,) = torch.autograd.grad(self.discriminator(images).sum(), images, create_graph=True)
        return slope.square().flatten(1).sum(1).mean()


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 128,
    width: PositiveInt = 32,
    modulated: bool = False,
    r1: NonNegativeFloat = 1.0,
    every: Annotated[int, Field(ge=1)] = 16,
    augment: bool = False,
) -> StyleGAN:
    """`latent`: numbers of z and of w. `width`: channels of the finest maps, doubled twice towards the coarse ones. `modulated`:
    modulated convolutions in place of AdaIN. `r1`: weight of the penalty on the discriminator's slope, counted on every `every`-th
    batch, so many times as heavy. `augment`: the discriminator sees images, real and made, as models/diff_augment.py changes them."""
    return StyleGAN(shape, latent, width, modulated, r1, every, augment)
