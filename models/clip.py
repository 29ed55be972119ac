"""CLIP (Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision): images and sentences in one space.

An image encoder and a text encoder give vectors of length one (N, D); the cosine of two says how well a photograph and a sentence fit. Both
learn from pairs alone, by the symmetric cross-entropy of figure 3 with a learned temperature. Not as published: the image encoder is a small
head on the features of a frozen MobileNetV2 that has seen ImageNet's classes, the text encoder is a mean over words (or a small transformer)
of a vocabulary of training's words, and an image may have several sentences of a batch that fit it: each of them counts (`contrastive`).
Published with all of Flickr8k and encoders of 14 M parameters: recall@1 of 0.17 (images) and 0.23 (sentences) among 1,000 test images.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.mobilenet import CHANNELS, Backbone

KIND = "embed"
PRETRAINED = True
BLOCKS = 19  # of MobileNetV2, none of which learns
PAD, WORD = 0, 4  # numbers of what fills up, and of the first word (`tasks.words.vocabulary.SPECIAL` stand before it)
TEMPERATURE, LOWEST = 0.07, 0.01  # section 2.5: at the start, and at least


class Words(nn.Module):
    """Sentences to vectors, by the mean of their words' vectors: (N, T) to (N, width). What is no word counts for nothing."""

    def __init__(self, words: int, width: int, dropout: float, missing: float) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.dropout, self.missing = nn.Dropout(dropout), missing
        nn.init.normal_(self.words.weight, std=width**-0.5)

    def forward(self, sentences: Tensor) -> Tensor:
        there = sentences >= WORD
        if self.training and self.missing:
            there = there & (torch.rand(sentences.shape, device=sentences.device) >= self.missing)
        weights = there.to(self.words.weight.dtype).unsqueeze(-1)
        mean = (self.words(sentences) * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.dropout(mean)


class Transformer(nn.Module):
    """Sentences to vectors, by the mean over their words of what a small transformer gives (pre-norm): (N, T) to (N, width)."""

    def __init__(self, words: int, width: int, dropout: float, layers: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.01 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, max(1, width // 64), 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=width**-0.5)

    def forward(self, sentences: Tensor) -> Tensor:
        there = sentences != PAD
        # A row of nothing but fill is no sentence, and must not become NaN.
        there = there | (~there.any(1, keepdim=True) & (torch.arange(sentences.shape[1], device=sentences.device) == 0))
        inner = self.words(sentences) + self.places[: sentences.shape[1]]
        inner = self.norm(self.layers(inner, src_key_padding_mask=~there))
        weights = there.to(inner.dtype).unsqueeze(-1)
        return (inner * weights).sum(1) / weights.sum(1)


class Head(nn.Sequential):
    """From an encoder's vectors to the common space: a hidden layer beside a straight way, (N, inputs) to (N, space)."""

    def __init__(self, inputs: int, space: int, dropout: float) -> None:
        super().__init__(nn.Dropout(dropout), nn.Linear(inputs, space))

