"""What a captioner is used for: a sentence for a photograph, and where it looked at each word."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tasks.imaging import images
from tasks.imaging.images import as_channels
from tasks.kinds.caption import describe
from tasks.learning.tensors import autocast, to_float
from tasks.learning.weights import Configuration
from tasks.words.vocabulary import Vocabulary

BEAM, PENALTY = 3, 0.7


class Said(NamedTuple):
    """A sentence, its words, where the network looked at each, shares (T, L), and its log-probability a word, in nats, as the beam has it."""

    text: str
    words: list[str]
    looked: np.ndarray
    score: float


def answer(outputs: np.ndarray) -> np.ndarray:
    """Numbers of words, int64 (N, T): the likeliest one at each place, 2 at the end and 0 behind it; the words stand in the metadata."""
    return outputs.astype(np.int64)


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """A photograph, uint8 (H, W, 1 or 3), as a captioner is given it: uint8 (size, size, 3)."""
    return images.resize(as_channels(pixels, 3), size, size)


@torch.inference_mode()
def captions(
    network: nn.Module,
    configuration: Configuration,
    pixels: np.ndarray,
    precision: str,
    beam: int = BEAM,
    penalty: float = PENALTY,
) -> list[Said]:
    """The sentences of photographs, uint8 (N, size, size, 3)."""
    device = next(iter([*network.parameters(), *network.buffers()])).device
    network.eval()
    with autocast(device, precision):
        stem = network.stem(to_float(torch.from_numpy(pixels).to(device)))  # type: ignore[operator]
    said = describe.sentences(network, stem, precision, beam, penalty)
    texts = Vocabulary(configuration.classes).sentences(said.words.tolist())
    return [
        Said(text, text.split(), looked[: len(text.split())], float(score))
        for text, looked, score in zip(texts, said.looked.numpy(), said.scores)
    ]
