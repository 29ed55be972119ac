"""A vector-quantised autoencoder with a prior over its codes (van den Oord et al. 2017, Neural Discrete Representation Learning).

Two 4x4 convolutions of stride 2 turn an image into a map of vectors, 7x7 of them for 28 pixels; each becomes the nearest code of a book,
and the decoder makes the image of the codes. The prior is a recurrent network that reads codes row by row, each with the one above it, so
that a sample costs a step a code. It learns beside the autoencoder, from the codes as they are at that time, and moves none of them.

As published but for: codes and vectors are compared by their angle (Yu et al. 2022, Vector-quantized Image Modeling with improved VQGAN,
section 3.2), which keeps all codes in use; the prior is recurrent, not convolutional.
"""

from collections.abc import Callable, Mapping

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.generator import Generator

KIND = "generate"
# Beta of equation 3: how much the encoder keeps to its codes.
COMMITMENT = 0.25


class Prior(nn.Module):
    """The probability of each code (N, S S) given those before it, row by row: logits (N, S S, K)."""

    def __init__(self, codes: int, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        # The last code stands for what lies beyond the map.
        self.left = nn.Embedding(codes + 1, width)
        self.above = nn.Embedding(codes + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(side**2, width))
        self.memory = nn.GRU(width, 2 * width, batch_first=True)
        self.scores = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, codes))

    def forward(self, codes: Tensor) -> Tensor:
        beyond = codes.new_full((len(codes), self.side), self.left.num_embeddings - 1)
        left = torch.cat([beyond[:, :1], codes[:, :-1]], 1)
        above = torch.cat([beyond, codes[:, : -self.side]], 1)
        read, _ = self.memory(self.left(left) + self.above(above) + self.place)
        scores: Tensor = self.scores(read)
        return scores

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (N, S S)."""
        device = self.place.device
        codes = torch.full((count, self.side**2 + self.side), self.left.num_embeddings - 1, device=device)
        chances = torch.rand(self.side**2, count, 1, generator=generator).to(device)
        state, before = None, codes[:, 0]
        # The first row of `codes` lies above the map.
        for place in range(self.side**2):
            read, state = self.memory((self.left(before) + self.above(codes[:, place]) + self.place[place])[:, None], state)
            shares = self.scores(read[:, 0]).float().softmax(1).cumsum(1)
            before = (shares < chances[place] * shares[:, -1:]).sum(1)
            codes[:, place + self.side] = before
        return codes[:, self.side :]


class VQVAE(Generator):
    """`quantise`: images to codes (N, S S); `draw_codes`: codes to images."""

    def __init__(self, shape: Shape, codes: int, depth: int, width: int, memory: int) -> None:
        """Raises ValueError for images that two halvings do not fit."""
        super().__init__(shape, latent=0)
        if shape.size % 4:
            raise ValueError(f"architecture: {shape.size} pixels cannot be halved twice; a vq_vae takes multiples of 4")
        self.side = shape.size // 4
        self.encoder = nn.Sequential(
            nn.Conv2d(shape.inputs, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(2 * width, depth, 3, 1, 1),
        )  # fmt: skip
        self.book = nn.Parameter(F.normalize(torch.randn(codes, depth), dim=1))
        self.decoder = nn.Sequential(
            nn.Conv2d(depth, 2 * width, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(width, shape.inputs, 4, 2, 1),
        )  # fmt: skip
        self.prior = Prior(codes, self.side, memory)

    def _vectors(self, images: Tensor) -> Tensor:
        """The encoder's vectors, each of length one, (N, D, S, S)."""
        return F.normalize(self.encoder(images).float(), dim=1)

    def _nearest(self, vectors: Tensor) -> Tensor:
        """The codes at the least angles, (N, S, S)."""
        return torch.einsum("ndij,kd->nkij", vectors, F.normalize(self.book, dim=1)).argmax(1)

    def _looked_up(self, codes: Tensor) -> Tensor:
        """The book's vectors of codes (N, S, S), each of length one, (N, D, S, S)."""
        return F.normalize(self.book, dim=1)[codes].permute(0, 3, 1, 2)

    def quantise(self, images: Tensor) -> Tensor:
        """The codes of images (N, C, H, W), int64 (N, S S)."""
        return self._nearest(self._vectors(images)).flatten(1)

    def draw_codes(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, S S)."""
        drawn: Tensor = self.decoder(self._looked_up(codes.unflatten(1, (self.side, self.side))))
        return drawn.float().sigmoid()

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        return self.draw_codes(self.prior.draw(count, generator))

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step on equation 3, with the cross-entropy of grey pixels as its distance, and on the prior's nats a code."""
        vectors = self._vectors(inputs)
        codes = self._nearest(vectors.detach())
        found = self._looked_up(codes)
        moved = (found - vectors.detach()).square().sum(1).mean() + COMMITMENT * (found.detach() - vectors).square().sum(1).mean()
        # The decoder's gradient goes past the codes to the encoder.
        logits = self.decoder(vectors + (found - vectors).detach()).float()
        distance = F.binary_cross_entropy_with_logits(logits, inputs, reduction="none").flatten(1).sum(1).mean()
        said = self.prior(codes.flatten(1)).float()
        nats = F.cross_entropy(said.flatten(0, 1), codes.flatten())
        updates["network"](distance + self.side**2 * (moved + nats))
        return {"loss": distance, "moved": moved, "prior": nats}

    def forward(self, x: Tensor) -> Tensor:
        """Each image (N, C, H, W) after its codes."""
        return self.draw_codes(self.quantise(x))


def build(
    shape: Shape, *, codes: PositiveInt = 64, depth: PositiveInt = 8, width: PositiveInt = 32, memory: PositiveInt = 64
) -> VQVAE:
    """`codes`: in the book, of `depth` numbers each. `width`: channels of the finest maps. `memory`: width of the prior, whose state is
    twice as wide."""
    return VQVAE(shape, codes, depth, width, memory)
