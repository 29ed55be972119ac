"""What networks have in common that make images, in training and for those who use them: the protocol of the kind `generate`.

A generator's file says `KIND = "generate"`, and its `build` returns a `Generator`. A network whose parts learn against one another has
`parts()` and `training_step()` beside it (as models/gan.py and models/pix2pix.py do); one that learns by one loss has `training_step()`
alone. Networks that know how likely an image is have `elbo` and `nll` (models/vae.py).
"""

import torch
from torch import Tensor, nn

from models import Shape

# Of `Shape.extra`: how many classes the images have.
CLASSES = "classes"


class Generator(nn.Module):
    """A network that makes images (N, C, H, W) in [0, 1].

    `image`: the images' shape (C, H, W). `latent`: of how many numbers `decode` makes an image; 0 where there is no such thing.
    `classes`: of how many classes images can be asked for; 0 where they come as they come.
    """

    def __init__(self, shape: Shape, latent: int, conditional: bool = False) -> None:
        """Raises ValueError for a conditional one of images without classes."""
        super().__init__()
        self.image = (shape.inputs, shape.size, shape.size)
        self.latent = latent
        self.classes = shape.extra.get(CLASSES, 0) if conditional else 0
        if conditional and not self.classes:
            raise ValueError("architecture.conditional: the images have no classes; leave it out")

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw from the prior: (N, latent). Drawn on the processor, so that a seed means the same on every device."""
        return torch.randn(count, self.latent, generator=generator).to(self.device)

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """`count` images (N, C, H, W) in [0, 1]. `condition`: their classes, int64 (N,); by default each in its turn."""
        return self.decode(self.noise(count, generator), self.asked(count, condition))

    def asked(self, count: int, condition: Tensor | None = None) -> Tensor | None:
        """The classes that `count` images are to have, (N,), or None where none can be asked for."""
        if not self.classes:
            return None
        return torch.arange(count, device=self.device) % self.classes if condition is None else condition.to(self.device)

    def decode(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of what `noise` draws, (N, latent)."""
        raise NotImplementedError(f"{type(self).__name__} makes images of no latent numbers")

    def forward(self, x: Tensor) -> Tensor:
        """As many images as are given, always the same ones; networks that encode give back each image instead."""
        return self.sample(len(x), torch.Generator().manual_seed(0))
