"""CLIP (Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision): images and sentences in one space.

An image encoder and a text encoder give vectors of length one (N, D); the cosine of two says how well a photograph and a sentence fit. Both
learn from pairs alone, by the symmetric cross-entropy of figure 3 with a learned temperature. Not as published: the image encoder is a linear
layer on the features of a frozen MobileNetV2, which has seen ImageNet's classes, and the text encoder is a mean over the words of a
vocabulary. Expected on Flickr8k's mirror (753 training and 125 test images): recall@5 of images over 0.4. Published with all of Flickr8k
and encoders of 14 M parameters: recall@1 of 0.17 (images) and 0.23 (sentences) among 1,000 test images.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.mobilenet import CHANNELS, Backbone

KIND = "embed"
PRETRAINED = True
BLOCKS = 19  # of MobileNetV2, none of which learns
WORD = 4  # number of the first word: before it stand fill, start, end and what is unknown (`tasks.words.vocabulary`)
TEMPERATURE, LOWEST = 0.07, 0.01  # section 2.5: at the start, and at least

Dropout = Annotated[float, Field(ge=0, lt=1)]


class Words(nn.Module):
    """The text encoder: the mean of the vectors of a sentence's words, (N, T) to (N, width). What is no word counts for nothing."""

    def __init__(self, words: int, width: int, missing: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words, width)
        self.missing = missing
        nn.init.normal_(self.vectors.weight, std=width**-0.5)

    def forward(self, sentences: Tensor) -> Tensor:
        there = sentences >= WORD
        if self.training and self.missing:
            there = there & (torch.rand(sentences.shape, device=sentences.device) >= self.missing)
        weights = there.to(self.vectors.weight.dtype).unsqueeze(-1)
        return (self.vectors(sentences) * weights).sum(1) / weights.sum(1).clamp(min=1)


class Clip(nn.Module):
    """Both encoders: `forward` is that of images (N, 3, H, W) in [0, 1], `encode_sentences` that of numbers of words (N, T)."""

    def __init__(self, shape: Shape, space: int, width: int, grid: int, dropout: tuple[float, float], missing: float) -> None:
        super().__init__()
        self.backbone, self.grid = Backbone(BLOCKS), grid
        inputs = CHANNELS[1] * grid**2
        self.image = nn.Sequential(nn.LayerNorm(inputs), nn.Dropout(dropout[0]), nn.Linear(inputs, space))
        self.text = nn.Sequential(
            Words(shape.extra.get("words", shape.outputs), width, missing), nn.Dropout(dropout[1]), nn.Linear(width, space)
        )
        self.scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))

    def features(self, images: Tensor) -> Tensor:
        """What the frozen backbone sees in images (N, 3, H, W): means over a grid of places, (N, 1280 * grid * grid)."""
        return F.adaptive_avg_pool2d(self.backbone.stem(images), self.grid).flatten(1)

    def encode_features(self, features: Tensor) -> Tensor:
        """Unit vectors (N, D) of what the backbone sees."""
        return F.normalize(self.image(features).float(), dim=-1)

    def encode_sentences(self, numbers: Tensor) -> Tensor:
        """Unit vectors (N, D) of sentences; that of one without a known word says nothing."""
        return F.normalize(self.text(numbers).float(), dim=-1)

    def forward(self, images: Tensor) -> Tensor:
        return self.encode_features(self.features(images))

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """A step on features of different images (N, F) and a sentence of each (N, T)."""
        logits = self.scale.exp() * self.encode_features(inputs) @ self.encode_sentences(targets).T
        loss = contrastive(logits)
        updates["network"](loss)
        with torch.no_grad():
            self.scale.clamp_(max=math.log(1 / LOWEST))
        return {"loss": loss, "temperature": (-self.scale).exp(), "accuracy": right(logits)}


def contrastive(logits: Tensor) -> Tensor:
    """The symmetric cross-entropy of pairs (figure 3): logits (N, N) of images and sentences, those of pairs on the diagonal."""
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def right(logits: Tensor) -> Tensor:
    """The share of a batch's images whose own sentence is the nearest."""
    return (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()


def build(
    shape: Shape,
    *,
    space: PositiveInt = 128,
    width: PositiveInt = 128,
    grid: Annotated[int, Field(ge=1, le=7)] = 1,
    dropout: tuple[Dropout, Dropout] = (0.5, 0.3),
    missing: Dropout = 0.1,
) -> Clip:
    """`space`: dimensions D; `width`: of words' vectors; `grid`: places a side whose features are told apart; `dropout`: of features and of
    sentences; `missing`: share of a sentence's words that are left out while it learns."""
    return Clip(shape, space, width, grid, dropout, missing)
