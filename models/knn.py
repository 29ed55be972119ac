"""k nearest neighbours on pixels: nothing is learned, the training images are remembered.

After the course's k nearest neighbours (assignment 1 of EECS 498/598, Deep Learning for Computer Vision), which reports 28 % on
CIFAR-10 with k = 10; all 40,000 training images give some 34 %, and cosine similarity of images that are normalised one by one
some 42 %. The search is exact: every distance is computed, in blocks of a matrix product. k is chosen by cross-validation on train.
"""

from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape

# Distances and neighbours are of the pixels as they are: no mean and deviation of the channels come before them.
RAW_PIXELS = True
# Queries whose distances to all training images are in memory at once: 40 MB against 40,000 images.
BLOCK = 250


class NearestNeighbours(nn.Module):
    """(N, C, H, W) to log shares of the k neighbours' votes (N, K), one vote added to each class, so that none is impossible."""

    images: Tensor  # uint8 (M, D)
    labels: Tensor  # int64 (M,)
    k: Tensor

    def __init__(self, classes: int, candidates: tuple[int, ...], folds: int, cosine: bool) -> None:
        super().__init__()
        self.classes, self.candidates, self.folds, self.cosine = classes, candidates, folds, cosine
        self.register_buffer("images", torch.empty(0, 0, dtype=torch.uint8))
        self.register_buffer("labels", torch.empty(0, dtype=torch.int64))
        self.register_buffer("k", torch.tensor(candidates[0]))
        self._known: Tensor | None = None  # the features of `images`, made when they are needed first

    def parts(self) -> dict[str, nn.Module]:
        """Nothing has an optimiser."""
        return {}

    def training_step(self, inputs: Tensor, targets: Tensor, updates: object) -> dict[str, Tensor]:
        """Remember a batch, which has to be all of train, and choose k by the accuracy on folds that are held out in turn."""
        self.images = torch.cat([block.flatten(1).mul(255).round_().byte() for block in inputs.split(BLOCK)])
        self.labels, self._known = targets, None
        right = torch.zeros(len(self.candidates))
        for fold in torch.arange(len(targets)).tensor_split(self.folds):
            held_out = slice(int(fold[0]), int(fold[-1]) + 1)
            votes = self._votes(self.images[held_out], self.candidates, held_out)
            right += (votes.argmax(2) == targets[held_out].cpu()).sum(1)
        accuracy = right / len(targets)
        self.k = torch.tensor(self.candidates[int(accuracy.argmax())], device=targets.device)
        row = {"loss": 1 - accuracy.max(), "k": self.k.float()}
        return row | {f"accuracy_k{k}": value for k, value in zip(self.candidates, accuracy)}

    def forward(self, x: Tensor) -> Tensor:
        if not len(self.images):
            return x.new_zeros(len(x), self.classes)
        votes = self._votes(x.flatten(1).mul(255).round_().byte(), (int(self.k),))[0]
        return ((votes + 1) / (votes.sum(1, keepdim=True) + self.classes)).log().to(x.device)

    def _features(self, images: Tensor) -> Tensor:
        """uint8 (N, D) to float32 (N, D): pixels from -0.5 to 0.5, or each image of mean 0 and length 1."""
        pixels = images.float().div_(255).sub_(0.5)
        if self.cosine:
            pixels -= pixels.mean(1, keepdim=True)
            pixels /= pixels.norm(dim=1, keepdim=True).clamp_min_(1e-6)
        return pixels

    def _votes(self, queries: Tensor, candidates: tuple[int, ...], held_out: slice | None = None) -> Tensor:
        """Votes (len(candidates), N, K) of the nearest neighbours of uint8 (N, D); `held_out`: which of them have none."""
        if self._known is None:
            self._known = self._features(self.images)
        known, most = self._known, min(max(candidates), len(self.images))
        squares = torch.linalg.vector_norm(known, dim=1).square() if not self.cosine else known.new_zeros(len(known))
        # Equal votes go to the nearer neighbours: a vote weighs a little less the further away it is, never a whole one in sum.
        weights = 1 - torch.arange(most) * (0.5 / most**2)
        found = torch.zeros(len(candidates), len(queries), self.classes)
        with torch.autocast(queries.device.type, enabled=False):
            for start in range(0, len(queries), BLOCK):
                block = self._features(queries[start : start + BLOCK])
                # |a - b|^2 without |a|^2, which is the same for all neighbours of a.
                distances = torch.addmm(squares, block, known.T, alpha=-2)
                if held_out:
                    distances[:, held_out] = torch.inf
                near = self.labels[distances.topk(most, largest=False).indices].cpu()  # (B, most), nearest first
                counts = (F.one_hot(near, self.classes) * weights[:, None]).cumsum(1)
                for index, k in enumerate(candidates):
                    found[index, start : start + BLOCK] = counts[:, min(k, most) - 1]
        return found

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # As many images as there were: the buffers take the size of what is loaded.
        for name in ("images", "labels"):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=self.k.device))
        self._known = None
        super()._load_from_state_dict(state_dict, prefix, *rest)


def build(
    shape: Shape,
    *,
    candidates: tuple[PositiveInt, ...] = (1, 3, 5, 8, 10, 12, 15, 20, 50),
    folds: PositiveInt = 5,
    distance: Literal["euclidean", "cosine"] = "euclidean",
) -> NearestNeighbours:
    """`candidates`: numbers of neighbours to choose from. `folds`: of the cross-validation. `distance`: of raw pixels, or the
    cosine of images from each of which its mean is taken."""
    if folds < 2:
        raise ValueError("architecture.folds: 2 or more")
    return NearestNeighbours(shape.outputs, tuple(sorted(candidates)), folds, distance == "cosine")
