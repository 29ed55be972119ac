"""A style-based generator that learns to make exact black and white: that of models/stylegan.py, clipped in training as models/clear_gan.py."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from models import Shape
from models.clear_gan import clipped
from models.stylegan import StyleGAN

KIND = "generate"


class ClearStyleGAN(StyleGAN):
    """StyleGAN whose discriminator sees images as users do, clipped."""

    def _fake(self, count: int) -> Tensor:
        return clipped(super()._fake(count))


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 64,
    width: PositiveInt = 16,
    modulated: bool = False,
    r1: NonNegativeFloat = 1.0,
    every: Annotated[int, Field(ge=1)] = 16,
) -> ClearStyleGAN:
    """The arguments are those of models/stylegan.py."""
    return ClearStyleGAN(shape, latent, width, modulated, r1, every)
