"""A learned image codec: an 8x8 DCT of YCbCr that is learned further, a hyperprior, and a context of coarser coefficients.

Minnen et al. 2018, "Joint Autoregressive and Hierarchical Priors"; He et al. 2021, "Checkerboard Context Model"; Cui et al. 2021, "Asymmetric
Gained Deep Image Compression" (one network, all rates). Images (N, 3, H, W) in [0, 1]; coefficients (N, 192, H / 8, W / 8), hyperprior
(N, hyper, H / 32, W / 32). About a million parameters.

Decoding takes convolutions, ReLU and shuffles alone, and its convolutions are given as an argument: the same lines compute in floats for training
and in integers for files (`models.fixed`).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.coefficients import NARROW, around, bits, board, logarithms

KIND = "compress"

BLOCK = 8  # pixels a side of the transform
MULTIPLE = 32  # pixels a side that the hyperprior has one place for
CHANNELS = 3 * BLOCK**2
LEVELS = 16  # grey levels that are 1 inside the network, of pixels and coefficients
UNIT = LEVELS / 255
# Coefficients are coded in groups by their frequency u + v, coarse to fine.
GROUPS = (1, 3, 6, 14)
# A quality's weight of the squared error (in grey levels) against bits a pixel: the lowest, and the factor between neighbouring anchors.
LOWEST, FACTOR, ANCHORS = 0.0006, 2.4, 6
QUALITIES = 100

Convolve = Callable[[nn.Conv2d, Tensor], Tensor]


def convolve(module: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution in floats."""
    result: Tensor = module(x)
    return result


def weight(levels: Tensor) -> Tensor:
    """The weight of the squared error at levels (N,) from 0 to ANCHORS - 1."""
    return LOWEST * FACTOR**levels


def dct() -> Tensor:
    """The orthonormal 8x8 DCT of YCbCr as a matrix (192, 192) on unshuffled pixels, rows by frequency: coarse to fine, Y Cb Cr within each."""
    n = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos(math.pi * (n + 0.5) * n[:, None] / BLOCK) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    colour = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=torch.float64)
    # (u, v, Y Cb Cr, R G B, y, x)
    whole = torch.einsum("uy,vx,kc->uvkcyx", basis, basis, colour).reshape(BLOCK**2, 3, -1)
    order = sorted(range(BLOCK**2), key=lambda place: (place // BLOCK + place % BLOCK, place))
    return whole[order].reshape(CHANNELS, CHANNELS).float()


def groups() -> list[int]:
    """How many coefficients each group has."""
    frequencies = [u + v for u in range(BLOCK) for v in range(BLOCK)]
    edges = (-1, *GROUPS)
    return [3 * sum(low < f <= high for f in frequencies) for low, high in zip(edges, GROUPS)]


class Residual(nn.Module):
    """A 3x3 and a 1x1 convolution beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, conv: Convolve = convolve) -> Tensor:
        return x + conv(self.second, conv(self.first, x).relu())


class Transform(nn.Module):
    """A linear transform of 192 channels that begins as a given matrix, and a small residual network beside it, which knows the quality.

    Without `blocks` the matrix is all there is, and it stays as it is.
    """

    def __init__(self, matrix: Tensor, width: int, blocks: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(CHANNELS, CHANNELS, 1).requires_grad_(bool(blocks))
        with torch.no_grad():
            self.linear.weight.copy_(matrix[..., None, None])
            self.linear.bias.zero_()  # type: ignore[union-attr]
        self.blocks = nn.ModuleList(Residual(width) for _ in range(blocks))
        if blocks:
            self.inner = nn.Conv2d(CHANNELS + 1, width, 1)
            self.outer = nn.Conv2d(width, CHANNELS, 1)
            with torch.no_grad():
                self.outer.weight.mul_(0.05)
                self.outer.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor, plane: Tensor, conv: Convolve = convolve) -> Tensor:
        # bf16 has too few digits for the coefficients themselves.
        with torch.autocast(x.device.type, enabled=False):
            linear = conv(self.linear, x)
        if not self.blocks:
            return linear
        inner = conv(self.inner, torch.cat([x, plane], 1)).relu()
        for block in self.blocks:
            inner = block(inner, conv)
        return linear + conv(self.outer, inner).to(linear.dtype)


class Group(nn.Module):
    """Means and scales of one group's coefficients, from the hyperprior, the coarser groups, and the neighbours that are known.

    Without `context` the hyperprior is all that is known. Of values their logarithms are given beside them (`logarithms`).
    """

    def __init__(self, size: int, coarser: int, features: int, hidden: int, context: bool) -> None:
        super().__init__()
        self.coarser = nn.Conv2d(2 * coarser, features, 3, padding=1) if context and coarser else None
        self.beside = nn.Conv2d(8 * size, features, 1) if context else None
        parts = 1 + (self.coarser is not None) + context
        self.first = nn.Conv2d(parts * features, hidden, 1)
        self.second = nn.Conv2d(hidden, hidden, 1)
        self.last = nn.Conv2d(hidden, 2 * size, 1)

    def known(self, features: Tensor, coarser: Tensor, conv: Convolve = convolve) -> Tensor:
        """What is known of all places before the group's first coefficient: the hyperprior's features, and those of coarser groups."""
        return features if self.coarser is None else torch.cat([features, conv(self.coarser, coarser).relu()], 1)

    def neighbours(self, values: Tensor, conv: Convolve = convolve) -> Tensor | None:
        """Features of the four neighbours' values, eight times as many channels as the group (`around`); None without context."""
        return None if self.beside is None else conv(self.beside, values).relu()

    def forward(self, known: Tensor, beside: Tensor | None, conv: Convolve = convolve) -> tuple[Tensor, Tensor]:
        """Means, and base-2 logarithms of scales."""
        given = known if beside is None else torch.cat([known, beside], 1)
        hidden = conv(self.second, conv(self.first, given).relu()).relu()
        means, scales = conv(self.last, hidden).chunk(2, 1)
        return means, scales


class Codec(nn.Module):
    """(N, 3, H, W) in [0, 1] to what is left of it at a quality; `training_step` weighs bits against the squared error."""

    def __init__(
        self, width: int, blocks: int, features: int, hidden: int, hyper: int, context: bool, hyperprior: bool, learned: bool
    ) -> None:
        super().__init__()
        forward = dct()
        self.context, self.hyperprior = context, hyperprior
        # Taking apart is less work than putting together, and costs training as much.
        self.analysis = Transform(forward, width, -(-blocks // 3) if learned else 0)
        self.synthesis = Transform(torch.linalg.inv(forward.double()).float(), width, blocks if learned else 0)
        # The step begins at that of equal slopes: the error of a uniform quantiser, and 6 dB a bit.
        steps = torch.sqrt(26 / weight(torch.arange(ANCHORS))) / LEVELS
        self.gains = nn.Parameter(-steps.log()[:, None].repeat(1, CHANNELS))
        if hyperprior:
            self.shrink = nn.ModuleList([nn.Conv2d(CHANNELS + 1, features, 1), nn.Conv2d(4 * features, features, 1)])
            self.shrunk = nn.Conv2d(4 * features, hyper, 1)
        self.prior_means = nn.Parameter(torch.zeros(hyper))
        self.prior_scales = nn.Parameter(torch.full((hyper,), 1.0 if hyperprior else NARROW))
        self.grow = nn.ModuleList([nn.Conv2d(hyper + 1, 4 * features, 1), nn.Conv2d(features, features, 3, padding=1)])
        self.grown = nn.Conv2d(features, 4 * features, 1)
        sizes = groups()
        self.sizes = tuple(sizes)
        self.groups = nn.ModuleList(Group(size, sum(sizes[:i]), features, hidden, context) for i, size in enumerate(sizes))

    def gain(self, levels: Tensor) -> Tensor:
        """What coefficients are multiplied with before they are rounded: levels (N,) to (N, 192, 1, 1)."""
        low = levels.floor().clamp(0, ANCHORS - 2)
        share = (levels - low)[:, None]
        row = low.long()
        gains = self.gains.to(levels.dtype)
        return torch.exp((1 - share) * gains[row] + share * gains[row + 1])[..., None, None]

    def plane(self, levels: Tensor, like: Tensor) -> Tensor:
        """The quality as a channel of `like`'s height and width."""
        return (levels / (ANCHORS - 1)).view(-1, 1, 1, 1).expand(-1, 1, *like.shape[2:])

    def analyse(self, x: Tensor, levels: Tensor) -> Tensor:
        """Coefficients (N, 192, H / 8, W / 8) in steps of the quantiser, not yet rounded. Sides are multiples of 32."""
        pixels = F.pixel_unshuffle((x - 0.5) / UNIT, BLOCK)
        return self.analysis(pixels, self.plane(levels, pixels)).float() * self.gain(levels)

    def condense(self, coefficients: Tensor, levels: Tensor) -> Tensor:
        """The hyperprior's values, not yet rounded; zeros where there is to be none."""
        if not self.hyperprior:
            return coefficients.new_zeros(
                len(coefficients), len(self.prior_means), *(side // 4 for side in coefficients.shape[2:])
            )
        x = torch.cat([coefficients.abs().log1p(), self.plane(levels, coefficients)], 1)
        for layer in self.shrink:
            x = F.pixel_unshuffle(layer(x).relu(), 2)
        return self.shrunk(x).float()

    def features(self, hyper: Tensor, plane: Tensor, conv: Convolve = convolve) -> Tensor:
        """What the hyperprior says of each place of the coefficients; `plane` is the quality as a channel of the hyperprior's size."""
        first, second = self.grow
        x = F.pixel_shuffle(conv(first, torch.cat([hyper, plane], 1)), 2).relu()  # type: ignore[arg-type]
        x = conv(second, x).relu()  # type: ignore[arg-type]
        return F.pixel_shuffle(conv(self.grown, x), 2).relu()

    def synthesise(self, coefficients: Tensor, plane: Tensor, conv: Convolve = convolve) -> Tensor:
        """Pixels (N, 3, H, W) in units of sixteen grey levels around the middle, of coefficients that are divided by the gain."""
        return F.pixel_shuffle(self.synthesis(coefficients, plane, conv), BLOCK)

    def parameters_of(self, features: Tensor, rounded: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Means and scales of each group, all places at once, as it is trained."""
        height, width = rounded.shape[2:]
        second = board(height, width, rounded.device)
        seen = (rounded, logarithms(rounded))
        start = 0
        for group, size in zip(self.groups, self.sizes):
            known = group.known(features, torch.cat([seen[0][:, :start], seen[1][:, :start]], 1))  # type: ignore[operator]
            own = torch.cat([part[:, start : start + size] for part in seen], 1)
            beside = group.neighbours(around(own)) if self.context else None  # type: ignore[operator]
            yield group(known, None if beside is None else beside * second)
            start += size

    def estimate(self, x: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Bits a pixel (N,), and pixels as `forward` gives them: rounding is noise for the bits in training, and passed over by gradients."""
        exact = self.analyse(x, levels)
        hyper = self.condense(exact, levels)
        rounded, hyper_rounded = _rounded(exact), _rounded(hyper)
        noisy, hyper_noisy = (_noisy(exact), _noisy(hyper)) if self.training else (rounded, hyper_rounded)
        if not self.hyperprior:
            hyper_noisy = hyper_rounded
        features = self.features(hyper_rounded, self.plane(levels, hyper))
        means, scales = (torch.cat(parts, 1).float() for parts in zip(*self.parameters_of(features, rounded)))
        prior = (self.prior_means[:, None, None], self.prior_scales[:, None, None])
        total = bits(noisy, means, scales).sum((1, 2, 3)) + bits(hyper_noisy, *prior).sum((1, 2, 3))
        pixels = self.synthesise(rounded / self.gain(levels), self.plane(levels, rounded))
        return total / (x.shape[2] * x.shape[3]), pixels.float() * UNIT + 0.5

    def forward(self, x: Tensor, level: float = (ANCHORS - 1) / 2) -> Tensor:
        """What is left of images of any size at a level, not clipped."""
        return self.measure(x, level)[1]

    def measure(self, x: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Bits a pixel (N,) by the model's own estimate, and images, of any size."""
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        estimated, pixels = self.estimate(padded, torch.full((len(x),), float(level), device=x.device))
        share = padded.shape[2] * padded.shape[3] / (height * width)
        return estimated * share, pixels[..., :height, :width]

    def training_step(self, x: Tensor, levels: Tensor, updates: Any) -> dict[str, Tensor]:
        """One step on images (N, 3, H, W), each at a level of its own."""
        estimated, pixels = self.estimate(x, levels)
        error = 255**2 * (pixels - x).square().mean((1, 2, 3))
        loss = cost(estimated, error, levels).mean()
        updates["network"](loss)
        return {"loss": loss, "bpp": estimated.mean(), "mse": error.mean()}


def cost(estimated: Tensor, error: Tensor, levels: Tensor) -> Tensor:
    """Bits a pixel and the weighted squared error, divided by the weight's root so that low rates count as much as high ones."""
    heavy = weight(levels)
    return (estimated + heavy * error) * (weight(torch.full_like(heavy, (ANCHORS - 1) / 2)) / heavy).sqrt()


def _rounded(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


def _noisy(x: Tensor) -> Tensor:
    return x + torch.empty_like(x).uniform_(-0.5, 0.5)


def build(
    shape: Shape,
    *,
    width: PositiveInt = 96,
    blocks: PositiveInt = 3,
    features: PositiveInt = 64,
    hidden: PositiveInt = 128,
    hyper: PositiveInt = 32,
    context: bool = True,
    hyperprior: bool = True,
    learned: bool = True,
) -> Codec:
    """`width`, `blocks`: of the residual network beside the synthesis; the analysis has a third as many blocks. `features`, `hidden`: of
    the model of the coefficients; `hyper`: channels of the hyperprior. What can be left out, to see what it is worth: `context`, what is
    known of a coefficient from others; `hyperprior`; `learned`, transforms other than the DCT.
    """
    if shape.inputs != 3:
        raise ValueError(f"network: the codec takes colour images, not {shape.inputs} channels")
    return Codec(width, blocks, features, hidden, hyper, context, hyperprior, learned)
