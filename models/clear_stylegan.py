"""A style-based generator that learns to make exact black and white: that of models/stylegan.py, clipped in training as models/clear_gan.py."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from models import Shape
from models.clear_gan import clipped, cut
from models.stylegan import StyleGAN

KIND = "generate"


class ClearStyleGAN(StyleGAN):
    """StyleGAN whose discriminator sees images as users do: clipped, and black below `edge`, in [-1, 1]."""

    edge = -1.0

    def _fake(self, count: int) -> Tensor:
        return clipped(super()._fake(count).float(), self.edge)

    def synthesise(self, styles: Tensor) -> Tensor:
        return (cut(2 * super().synthesise(styles) - 1, self.edge) + 1) / 2


def build(
    shape: Shape,
    *,
    latent: PositiveInt = 64,
    width: PositiveInt = 16,
    modulated: bool = False,
    r1: NonNegativeFloat = 1.0,
    every: Annotated[int, Field(ge=1)] = 16,
    black: Annotated[float, Field(ge=0, lt=1)] = 0.05,
) -> ClearStyleGAN:
    """`black`: levels below it, as a share of white, are exact black. The other arguments are those of models/stylegan.py."""
    network = ClearStyleGAN(shape, latent, width, modulated, r1, every)
    network.edge = 2 * black - 1
    return network
