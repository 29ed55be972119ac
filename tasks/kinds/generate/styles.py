"""What generators with styles can do beside samples: truncation, the mixing of styles, and how straight the ways through z and w are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.common.errors import Error
from tasks.datasets.data import Data
from tasks.generation import separability
from tasks.generation.paths import path_length, spherical
from tasks.learning.tensors import to_bytes, to_float

BATCH = 500
# Paths of the path lengths; pictures a side of the table of mixed styles; steps of truncation.
PATHS, SIDE = 200, 6
# Samples that are sorted by their attributes.
SORTED = 4000
TRUNCATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def has_styles(network: Any) -> bool:
    """Whether images come of styles."""
    return hasattr(network, "synthesise")


@torch.inference_mode()
def styled(network: Any, count: int, seed: int, truncation: float = 1.0, mix: int | None = None) -> Tensor:
    """`count` images (N, C, H, W) of the noise of `seed`; the finer half of their styles is that of the first noise of `mix`, if given.

    Raises Error for values that are not finite.
    """
    w = network.mapping(network.noise(count, torch.Generator().manual_seed(seed)), truncation)
    found = []
    for part in w.split(BATCH):
        if mix is None:
            found.append(network.synthesise(part))
        else:
            fine = network.mapping(network.noise(1, torch.Generator().manual_seed(mix)), truncation)
            found.append(network.mix(part, fine.expand_as(part), network.generator.layers // 2))
    images = torch.cat(found)
    if not images.isfinite().all():
        raise Error("its samples are not finite: the training diverged; lower its learning rate")
    return images.clamp(0, 1)


@torch.inference_mode()
def mixed(network: Any, side: int = SIDE) -> np.ndarray:
    """Pictures uint8 ((side + 1)², H, W, C) of a table: coarse styles a row, fine ones a column, with where they come from at the edges."""
    w = network.mapping(network.noise(2 * side, torch.Generator().manual_seed(0)))
    coarse, fine = w[:side], w[side:]
    table = network.mix(coarse.repeat_interleave(side, 0), fine.repeat(side, 1), network.generator.layers // 2)
    sources = to_bytes(network.synthesise(w))
    inner = to_bytes(table).reshape(side, side, *sources.shape[1:])
    top = np.concatenate([np.zeros_like(sources[:1]), sources[side:]])
    rows = [np.concatenate([sources[i : i + 1], inner[i]]) for i in range(side)]
    return np.concatenate([top, *rows])


@torch.inference_mode()
def truncated(network: Any, count: int = 5) -> np.ndarray:
    """Pictures uint8 (count * 5, H, W, C): the same noise a row, from the mean of all styles to its own."""
    noise = network.noise(count, torch.Generator().manual_seed(0))
    steps = [to_bytes(network.synthesise(network.mapping(noise, t))) for t in TRUNCATIONS]
    return np.stack(steps, 1).reshape(-1, *steps[0].shape[1:])


@torch.inference_mode()
def path_lengths(network: Any, count: int = PATHS) -> dict[str, float]:
    """Perceptual path lengths in z, along arcs, and in w, along straight lines, between the same noise."""
    first, last = network.noise(2 * count, torch.Generator().manual_seed(1)).chunk(2)
    w_first, w_last = network.mapping(first), network.mapping(last)

    def through_z(share: Tensor) -> Tensor:
        return network.synthesise(network.mapping(spherical(first, last, share.to(first.device))))

    def through_w(share: Tensor) -> Tensor:
        return network.synthesise(torch.lerp(w_first, w_last, share.to(w_first.device)))

    return {"path_length_z": path_length(through_z, count), "path_length_w": path_length(through_w, count)}


Attributes = Callable[[Sequence[str]], dict[str, np.ndarray]]


@torch.inference_mode()
def separabilities(
    network: Any, train: Data, test: Data, attributes: Attributes, count: int = SORTED
) -> tuple[dict[str, float], dict[str, float]]:
    """How well lines tell `attributes` from z and from w (1 is best), and of each attribute the share that its sorter has right on test."""
    z = network.noise(count, torch.Generator().manual_seed(2))
    w = network.mapping(z)
    made = separability.activations(torch.cat([network.synthesise(part).clamp(0, 1).cpu() for part in w.split(BATCH)]))
    seen = [separability.activations(to_float(torch.from_numpy(np.array(data.images)))) for data in (train, test)]
    values = [attributes(data.index["file"].tolist()) for data in (train, test)]
    probabilities, right = {}, {}
    for name in values[0]:
        named = [attribute[name] >= 0 for attribute in values]
        rows = [(x[there], v[name][there]) for x, there, v in zip(seen, named, values)]
        sorter = separability.sorter(*rows[0], *rows[1])
        probabilities[name], right[name] = sorter.probabilities(made), sorter.right
    codes = {"z": z.cpu().numpy(), "w": w.float().cpu().numpy()}
    return {f"separability_{name}": value for name, value in separability.score(codes, probabilities).items()}, right
