"""Sentences out of a decoder (`models.decoders`), in batches: by beam search, or drawn at random. Never a word that is none."""

from typing import NamedTuple

import torch
from torch import Tensor

from models.decoders import Decoder, State
from tasks.words.vocabulary import END, PAD, START, UNKNOWN

BANNED = [PAD, START, UNKNOWN]


class Sentences(NamedTuple):
    """Numbers of words, int64 (B, T), with the end and fill behind it; the score of each sentence (B,): its log-probability, in nats,
    divided by its words, the end among them, to the power of the length penalty; where the decoder looked at each word (B, T, L).

    Of several sentences a picture (B, W, T), (B, W) and (B, W, T, L)."""

    words: Tensor
    scores: Tensor
    looked: Tensor


def beam(decoder: Decoder, regions: Tensor, length: int, width: int = 3, penalty: float = 0.7) -> Sentences:
    """The best sentence that a beam of `width` finds for each of the regions (B, L, D); see `beams`."""
    return chosen(
        beams(decoder, regions, length, width, penalty), torch.zeros(len(regions), dtype=torch.int64, device=regions.device)
    )


def chosen(found: Sentences, which: Tensor) -> Sentences:
    """Of each picture's sentences (B, W, ...) the one of the number `which` (B,)."""
    rows = torch.arange(len(which), device=which.device)
    return Sentences(found.words[rows, which], found.scores[rows, which], found.looked[rows, which])


@torch.no_grad()
def beams(decoder: Decoder, regions: Tensor, length: int, width: int = 3, penalty: float = 0.7) -> Sentences:
    """The `width` sentences (B, W, ...) of at most `length` words, the end among them, that a beam finds for regions (B, L, D), the best first.

    A sentence that has ended keeps its place in the beam while no `width` better ones are there. `width` 1 is greedy. A sentence that
    has not ended after `length` - 1 words ends there. The length penalty is that of Wu et al. 2016 without its constant.
    """
    batch, device = len(regions), regions.device
    begun: State = {name: tensor.repeat_interleave(width, 0) for name, tensor in decoder.begin(regions).items()}
    state = begun
    words = torch.full((batch, width, 1), START, device=device)
    looked = regions.new_zeros(batch, width, 0, regions.shape[1], dtype=torch.float32)
    # At first all rows of a beam are the same: one of them counts.
    total = torch.full((batch, width), -torch.inf, device=device)
    total[:, 0] = 0
    counts = torch.zeros(batch, width, device=device)
    ended = torch.zeros(batch, width, dtype=torch.bool, device=device)
    for place in range(length):
        logits, state, shares = decoder.step(state, words[:, :, -1].flatten())
        logs = _allowed(logits, last=place == length - 1).view(batch, width, -1)
        # What has ended goes on as itself alone.
        logs = logs.masked_fill(ended[:, :, None], -torch.inf)
        logs[:, :, PAD] = torch.where(ended, 0.0, -torch.inf)
        sums = total[:, :, None] + logs
        lengths = (counts + ~ended)[:, :, None].clamp(min=1)
        _, best = (sums / lengths**penalty).flatten(1).topk(width, 1)
        rows, chosen = best // logs.shape[2], best % logs.shape[2]
        total = sums.flatten(1).gather(1, best)
        counts = lengths[:, :, 0].gather(1, rows)
        ended = ended.gather(1, rows) | (chosen == END)
        words = torch.cat([_rows(words, rows), chosen[:, :, None]], 2)
        looked = torch.cat([_rows(looked, rows), _rows(shares.float().view(batch, width, 1, -1), rows)], 2)
        flat = (rows + torch.arange(batch, device=device)[:, None] * width).flatten()
        # What is as it was at the beginning is the same for all of a beam.
        state = {name: tensor if tensor is begun[name] else tensor[flat] for name, tensor in state.items()}
        if ended.all():
            break
    return Sentences(words[:, :, 1:], total / counts**penalty, looked)


@torch.no_grad()
def sample(
    decoder: Decoder, regions: Tensor, length: int, temperature: float, generator: torch.Generator | None = None
) -> Sentences:
    """Sentences whose words are drawn with the probabilities of their logits divided by `temperature`, for regions (B, L, D)."""
    state = decoder.begin(regions)
    words = torch.full((len(regions),), START, device=regions.device)
    ended = torch.zeros_like(words, dtype=torch.bool)
    total = torch.zeros(len(regions), device=regions.device)
    counts = torch.zeros_like(total)
    found, looked = [], []
    for place in range(length):
        logits, state, shares = decoder.step(state, words)
        logs = _allowed(logits.float() / temperature, last=place == length - 1)
        drawn = torch.multinomial(logs.softmax(1), 1, generator=generator)
        total += logs.gather(1, drawn)[:, 0].masked_fill(ended, 0)
        counts += ~ended
        words = drawn[:, 0].masked_fill(ended, PAD)
        ended |= words == END
        found.append(words)
        looked.append(shares.float())
        if ended.all():
            break
    return Sentences(torch.stack(found, 1), total / counts, torch.stack(looked, 1))


def _allowed(logits: Tensor, last: bool) -> Tensor:
    """Log-probabilities (B, V) of words and the end; at the last place of the end alone."""
    logits = logits.float().clone()
    logits[:, BANNED] = -torch.inf
    logs = logits.log_softmax(1)
    if last:
        ends = logs[:, END].clone()
        logs[:] = -torch.inf
        logs[:, END] = ends
    return logs


def _rows(tensor: Tensor, rows: Tensor) -> Tensor:
    """Rows (B, W) of a tensor (B, W, ...)."""
    return tensor.gather(1, rows.view(*rows.shape, *[1] * (tensor.ndim - 2)).expand(-1, -1, *tensor.shape[2:]))
