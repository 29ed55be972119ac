"""Captions of neighbours: nothing is learned, the training sentences are remembered; what every learned decoder has to beat.

Devlin et al. 2015, "Exploring Nearest Neighbor Approaches for Image Captioning": of the sentences of the k nearest training images the
one that has most in common with the others. Near is by the cosine of mean features, in common by the cosine of their runs of one to
four words, weighed by inverse document frequency (CIDEr without the D). With Flickr8k's 753 images of the mirror expect a BLEU-4 of
0.12 and a CIDEr-D of 0.3.
"""

from collections import Counter
from typing import Any

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.caption import BLOCKS, END, LENGTH, START
from models.mobilenet import CHANNELS, Backbone

KIND = "caption"
PRETRAINED = True
ORDER = 4


class Neighbours(nn.Module):
    """Images (N, 3, H, W) in [0, 1] to the numbers of the words of a training sentence, float (N, T)."""

    features: Tensor  # fp16 (M, 1280) of length 1
    sentences: Tensor  # int32 (M, S, T)

    def __init__(self, neighbours: int, common: int, length: int) -> None:
        super().__init__()
        self.backbone = Backbone(BLOCKS)
        self.neighbours, self.common, self.length = neighbours, common, length
        self.register_buffer("features", torch.empty(0, CHANNELS[1], dtype=torch.float16))
        self.register_buffer("sentences", torch.empty(0, 0, 0, dtype=torch.int32))
        self._grams: Any = None  # a sparse row a sentence, made when they are needed first

    def parts(self) -> dict[str, nn.Module]:
        """Nothing has an optimiser."""
        return {}

    def training_step(self, inputs: Tensor, targets: Tensor, updates: object) -> dict[str, Tensor]:
        """Remember a batch, which has to be all of train: features (M, C, h, w) and sentences (M, S, T)."""
        self.features, self.sentences, self._grams = self._mean(inputs).half(), targets.int(), None
        return {"loss": torch.zeros(())}

    def losses(self, stem: Tensor, sentences: Tensor, smoothing: float = 0.0) -> Tensor:
        """There is none."""
        return torch.zeros(())

    def stem(self, images: Tensor) -> Tensor:
        """What the backbone sees: (N, 1280, h, w)."""
        return self.backbone.stem(images)

    def _mean(self, stem: Tensor) -> Tensor:
        return F.normalize(stem.float().mean((2, 3)), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.retrieve(self.stem(images)).float()

    def retrieve(self, stem: Tensor) -> Tensor:
        """Sentences of what the backbone saw, (N, C, h, w): int64 (N, T), without their starts."""
        if not len(self.features):
            return torch.zeros(len(stem), self.length - 1, dtype=torch.int64, device=stem.device)
        if self._grams is None:
            self._grams = _grams(self.sentences.flatten(0, 1).cpu().numpy())
        near = (
            (self._mean(stem) @ self.features.float().T).topk(min(self.neighbours, len(self.features)), 1).indices.cpu().numpy()
        )
        each, rows = self.sentences.shape[1], self.sentences.flatten(0, 1)
        there = (rows[:, 0] == START).cpu().numpy()
        found = []
        for images in near:
            mine = (images[:, None] * each + np.arange(each)).flatten()
            mine = mine[there[mine]]
            alike = np.asarray((self._grams[mine] @ self._grams[mine].T).todense())
            np.fill_diagonal(alike, 0)
            # An outlier's neighbours among the sentences do not help it, nor do those far from a good one harm that.
            score = -np.sort(-alike, 1)[:, : self.common].mean(1)
            found.append(int(mine[score.argmax()]))
        return rows[torch.tensor(found, device=rows.device), 1:].long()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # As many as there were: the buffers take the size of what is loaded.
        for name in ("features", "sentences"):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=self.features.device))
        self._grams = None
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _grams(sentences: np.ndarray) -> Any:
    """Sentences (M, T) as rows of runs of one to four words, weighed and of length 1 for each number of words: sparse (M, G)."""
    from scipy import sparse

    places: dict[tuple[int, ...], int] = {}
    counts = []
    for row in sentences.tolist():
        words = row[1 : row.index(END)] if END in row else []
        counts.append(Counter(tuple(words[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(words) - n + 1)))
    documents = Counter(gram for own in counts for gram in own)
    values, columns, ends = [], [], [0]
    for own in counts:
        weighed = {gram: count * np.log(len(counts) / documents[gram]) for gram, count in own.items()}
        norms = [sum(value**2 for gram, value in weighed.items() if len(gram) == n) ** 0.5 for n in range(1, ORDER + 1)]
        for gram, value in weighed.items():
            columns.append(places.setdefault(gram, len(places)))
            values.append(value / (norms[len(gram) - 1] or 1))
        ends.append(len(columns))
    return sparse.csr_matrix((values, columns, ends), (len(counts), max(1, len(places))))


def build(shape: Shape, *, neighbours: PositiveInt = 60, common: PositiveInt = 125) -> Neighbours:
    """`neighbours`: training images whose sentences are compared. `common`: with how many of them a sentence has to have much in
    common."""
    return Neighbours(neighbours, common, shape.extra.get("length", LENGTH))
