"""Convolutional adversaries whose images can be exactly black: those of models/gan.py with another end of the generator.

A tanh comes near black and never there, so that its images lie behind a haze of a few grey levels, which real digits, four fifths of whose
pixels are 0, do not have. Here the tanh is stretched beyond black and white, and clipped, in training too (as Louizos et al. 2018, Learning
Sparse Neural Networks through L0 Regularization, section 2.2, stretch a sigmoid to make exact zeros), and what is darker than a level is
black. What is clipped still learns: the gradient passes as it came, except where it would push a value further out, as in a projected step.
"""

from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from models import Shape
from models.gan import GAN, deep_discriminator, deep_generator

KIND = "generate"


class _Clipped(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, edge: float) -> Tensor:
        context.save_for_backward(x)
        return cut(x, edge)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None]:
        (x,) = context.saved_tensors
        outward = ((x <= -1) & (slope > 0)) | ((x >= 1) & (slope < 0))
        return slope.masked_fill(outward, 0), None


def cut(x: Tensor, edge: float) -> Tensor:
    """x clipped to [-1, 1], with -1 for all that is below `edge`."""
    return x.clamp(-1, 1).masked_fill(x < edge, -1)


def clipped(x: Tensor, edge: float) -> Tensor:
    """`cut`, with x's own gradient, but 0 where a step against it would lead further out."""
    return _Clipped.apply(x, edge) if x.requires_grad else cut(x, edge)


class Stretched(nn.Module):
    """A tanh from -`stretch` to `stretch`, clipped to [-1, 1], with -1 for what is darker than the share `black` of white."""

    def __init__(self, stretch: float, black: float) -> None:
        super().__init__()
        self.stretch, self.edge = stretch, 2 * black - 1

    def forward(self, x: Tensor) -> Tensor:
        return clipped(self.stretch * x.float().tanh(), self.edge)


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 96,
    generator: PositiveInt = 64,
    discriminator: PositiveInt = 32,
    r1: NonNegativeFloat = 1.0,
    every: PositiveInt = 4,
    stretch: Annotated[float, Field(ge=1)] = 1.1,
    black: Annotated[float, Field(ge=0, lt=1)] = 0.05,
) -> GAN:
    """`latent`: numbers of the noise. `generator`, `discriminator`: channels of their finest maps. `r1`: weight of the penalty on the
    discriminator's slope, which is counted on every `every`-th batch, so many times as heavy. `stretch`: by how much the tanh is. `black`:
    levels below it, as a share of white, are exact black."""
    made = deep_generator(shape, latent, generator)
    assert isinstance(made, nn.Sequential)
    made[-1] = Stretched(stretch, black)
    return GAN(shape, latent, made, deep_discriminator(shape, discriminator), "non-saturating", r1, every)
