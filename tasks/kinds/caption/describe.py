"""Sentences of a network for what its frozen blocks saw of pictures."""

from typing import Any

import torch
from torch import Tensor

from tasks.learning.tensors import autocast
from tasks.words import decoding, features
from tasks.words.decoding import Sentences

BATCH = 128


def kept(network: Any, images: Tensor, precision: str, mirrored: bool = False) -> Tensor:
    """What the network's frozen blocks see of uint8 images (N, H, W, 3), fp16 (N, C, h, w): computed once, and kept on the disk."""
    network.eval()
    frozen = network.backbone.features[: network.backbone.frozen]
    return features.kept(network.stem, frozen, images, precision, mirrored)


@torch.inference_mode()
def sentences(network: Any, stem: Tensor, precision: str, beam: int, penalty: float) -> Sentences:
    """The network's sentences for (N, C, h, w), on the processor; of a network that says them itself, what it says."""
    network.eval()
    device = next(iter([*network.parameters(), *network.buffers()])).device
    found = []
    for part in stem.split(BATCH):
        with autocast(device, precision):
            if hasattr(network, "retrieve"):
                words = network.retrieve(part.to(device).float())
                found.append(Sentences(words.cpu(), torch.zeros(len(words)), torch.zeros(*words.shape, 0)))
                continue
            stem = part.to(device).float()
            regions = network.see(stem)
            if hasattr(network, "choose"):
                several = decoding.beams(network.decoder, regions, network.length - 1, max(beam, network.beam), penalty)
                made = decoding.chosen(several, network.choose(stem, several.words, several.scores))
            else:
                made = decoding.beam(network.decoder, regions, network.length - 1, beam, penalty)
        found.append(Sentences(*(tensor.cpu() for tensor in made)))
    longest = max(made.words.shape[1] for made in found)
    return Sentences(
        torch.cat([_longer(made.words, longest) for made in found]),
        torch.cat([made.scores for made in found]),
        torch.cat([_longer(made.looked, longest) for made in found]),
    )


def _longer(tensor: Tensor, length: int) -> Tensor:
    """(B, T, ...) with zeros, which are fill, up to `length`."""
    return torch.cat([tensor, tensor.new_zeros(len(tensor), length - tensor.shape[1], *tensor.shape[2:])], 1)
