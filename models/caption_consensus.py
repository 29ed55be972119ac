"""Captions by a transformer that says, of the sentences of its beam, the one that people's sentences for similar photographs agree with most.

This is the consensus reranking of Mao et al. 2015, "Deep Captioning with Multimodal Recurrent Neural Networks (m-RNN)", section 8, after the
neighbours' consensus of Devlin et al. 2015 (models/caption_neighbours.py). What a beam finds likeliest is seldom what has most in common with
people's sentences: of the 20 of a beam the best has nearly twice the CIDEr-D of the first (on validation, a trial).

Near are the training images with the largest cosine of mean features. In common is CIDEr (Vedantam et al. 2015) with the document frequencies
of the training images, less for sentences of another length. What counts is its mean over those `common` sentences of the neighbours that have most of it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from models import Shape, decoders
from models.caption import BLOCKS, LENGTH, Captioner
from models.decoders import END, START
from models.mobilenet import CHANNELS

KIND = "caption"
PRETRAINED = True
TRAINER = "tasks.kinds.caption.consensus"
ORDER = 4
SIGMA = 6.0  # words, of CIDEr-D's penalty on lengths that differ


class Sentences:
    """Sentences as rows of weighed runs of one to four words, so that a product of two says what they have in common.

    `images`: of each training image its sentences, as numbers of words.
    """

    def __init__(self, images: Sequence[Sequence[Sequence[int]]]) -> None:
        found = Counter(gram for own in images for gram in {gram for sentence in own for gram in runs(sentence)})
        self.rarity = {gram: math.log(len(images) / count) for gram, count in found.items()}
        self.columns = {gram: column for column, gram in enumerate(self.rarity)}
        self.unknown = math.log(max(1, len(images)))

    def rows(self, sentences: Sequence[Sequence[int]]) -> Any:
        """A sparse matrix (M, runs) of `sentences`. The part of each order has length 1, so that a product with itself is 4 at most."""
        from scipy import sparse

        values, columns, ends = [], [], [0]
        for sentence in sentences:
            weighed = {gram: count * self.rarity.get(gram, self.unknown) for gram, count in runs(sentence).items()}
            lengths = [math.sqrt(sum(value**2 for gram, value in weighed.items() if len(gram) == n)) for n in range(1, ORDER + 1)]
            for gram, value in weighed.items():
                if gram in self.columns:
                    columns.append(self.columns[gram])
                    values.append(value / (lengths[len(gram) - 1] or 1))
            ends.append(len(columns))
        return sparse.csr_matrix((values, columns, ends), (len(sentences), max(1, len(self.columns))))


def runs(sentence: Sequence[int]) -> Counter[tuple[int, ...]]:
    """How often each run of one to four words stands in a sentence."""
    return Counter(tuple(sentence[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(sentence) - n + 1))


def spoken(rows: Tensor) -> list[list[int]]:
    """Numbers (M, T) without starts, ends and fill. An unknown word stays, so that no run reaches over it."""
    return [[number for number in row if number > max(START, END)] for row in rows.tolist()]


class Consensus(Captioner):
    """A `Captioner` that remembers the training images, and chooses among its sentences by theirs."""

    features: Tensor  # fp16 (M, 1280) of length 1
    sentences: Tensor  # int32 (M, S, T)

    def __init__(self, neighbours: int, common: int, beam: int, trust: float, *rest: Any) -> None:
        super().__init__(*rest)
        self.neighbours, self.common, self.beam, self.trust = neighbours, common, beam, trust
        self.register_buffer("features", torch.empty(0, CHANNELS[1], dtype=torch.float16))
        self.register_buffer("sentences", torch.empty(0, 0, 0, dtype=torch.int32))
        self._known: Any = None  # made when it is needed first

    def remember(self, stem: Tensor, sentences: Tensor) -> None:
        """Keep what the backbone sees of the training images, (M, C, h, w), and their sentences (M, S, T)."""
        self.features, self.sentences, self._known = mean(stem).half(), sentences.int(), None

    def choose(self, stem: Tensor, words: Tensor, scores: Tensor) -> Tensor:
        """Which of the sentences (N, W, T) of each photograph is said, (N,), by their scores (N, W) and what the backbone saw (N, C, h, w)."""
        from scipy import sparse  # as late as in `Sentences`

        if not len(self.features):
            return scores.argmax(1)
        if self._known is None:
            own = [spoken(rows[rows[:, 0] == START]) for rows in self.sentences]
            known = Sentences(own)
            lengths = [np.array([len(sentence) for sentence in of]) for of in own]
            self._known = known, [known.rows(of) for of in own], lengths
        known, rows, lengths = self._known
        near = mean(stem) @ self.features.float().T
        order = near.topk(min(self.neighbours, len(self.features)), 1).indices.tolist()
        chosen = []
        for images, candidates, score in zip(order, words, scores.cpu().numpy()):
            said = spoken(candidates)
            theirs, long = sparse.vstack([rows[i] for i in images]), np.concatenate([lengths[i] for i in images])
            alike = (known.rows(said) @ theirs.T).toarray() / ORDER
            apart = np.array([len(sentence) for sentence in said])[:, None] - long
            alike *= np.exp(-(apart**2) / (2 * SIGMA**2))
            common = -np.sort(-alike, 1)[:, : self.common].mean(1)
            chosen.append(int((score + self.trust * common).argmax()))
        return torch.tensor(chosen, device=words.device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # As many as there were: the buffers take the size of what is loaded.
        for name in ("features", "sentences"):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=self.features.device))
        self._known = None
        super()._load_from_state_dict(state_dict, prefix, *rest)


def mean(stem: Tensor) -> Tensor:
    """Mean features (N, C) of length 1."""
    return F.normalize(stem.float().mean((2, 3)), dim=1)


def build(
    shape: Shape,
    *,
    width: PositiveInt = 256,
    layers: PositiveInt = 2,
    heads: PositiveInt = 4,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    tied: bool = True,
    neighbours: PositiveInt = 80,
    common: PositiveInt = 20,
    beam: PositiveInt = 40,
    trust: NonNegativeFloat = 15.0,
) -> Consensus:
    """`neighbours`: training images whose sentences are asked. `common`: so many of these count for a sentence. `beam`: sentences among which is
    chosen. `trust`: what a share in common is worth beside a nat a word of the sentence's own probability. All else is as in models/caption.py, whose decoder is the transformer."""
    if width % heads:
        raise ValueError(f"architecture.heads: {width} channels are not divisible by {heads}")
    length = shape.extra.get("length", LENGTH)
    decoder = decoders.Transformer(shape.outputs, width, dropout, tied, layers, heads, length)
    return Consensus(neighbours, common, beam, trust, decoder, width, BLOCKS, (), (), shape.size, length, dropout)
