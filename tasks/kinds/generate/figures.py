"""The figures of a generator's result: pictures in rows, by rule and never by eye."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import norm
from torch import Tensor

from tasks.imaging.figures import PHOTOGRAPHIC, TEXT, picture
from tasks.kinds.generate import objective
from tasks.learning.tensors import to_bytes, to_float

if TYPE_CHECKING:
    from tasks.kinds.generate.measure import Outputs

COLUMNS, ROWS = 10, 10
# Of interpolations.
PAIRS, STEPS = 5, 10
# Sentences a row.
SENTENCES = 8
# Pictures a side of the plane of two latent numbers.
SIDE = 16


def chosen(outputs: "Outputs") -> np.ndarray:
    """A hundred samples, uint8 (N, H, W, C): the first, or the first ten of each of ten classes, a row a class."""
    if outputs.asked is None:
        return outputs.samples[: ROWS * COLUMNS]
    classes = np.unique(outputs.asked)[:ROWS]
    return np.concatenate([outputs.samples[outputs.asked == label][:COLUMNS] for label in classes])


def grid(pictures: np.ndarray, columns: int = COLUMNS) -> Figure:
    """Pictures uint8 (N, H, W, C) in rows, without words."""
    whole = objective.grid(pictures, columns)
    figure = Figure((whole.shape[1] / 56, whole.shape[0] / 56), 2 * PHOTOGRAPHIC)
    picture(figure.add_axes((0, 0, 1, 1)), whole)
    return figure


def rows(named: Mapping[str, np.ndarray]) -> Figure:
    """Rows of as many pictures each, uint8 (N, H, W, C), with their names at the left."""
    count = len(next(iter(named.values())))
    figure = Figure((0.62 * count + 0.6, 0.66 * len(named)), PHOTOGRAPHIC, layout="constrained")
    for axes_row, (name, pictures) in zip(figure.subplots(len(named), count, squeeze=False), named.items()):
        axes_row[0].set_ylabel(name, **TEXT)
        for axes, pixels in zip(axes_row, pictures):
            picture(axes, pixels)
    return figure


def sentences(outputs: "Outputs", known: np.ndarray, classes: Sequence[str]) -> Figure:
    """The first samples of eight classes that training knows, at even distances, above those of eight that it does not."""
    assert outputs.asked is not None
    figure = Figure((11, 3.4), PHOTOGRAPHIC, layout="constrained")
    for row, mask in zip(figure.subplots(2, SENTENCES), (known, ~known)):
        labels = np.flatnonzero(mask)
        for axes, label in zip(row, labels[np.linspace(0, len(labels) - 1, SENTENCES).astype(int)]):
            picture(axes, outputs.samples[outputs.asked == label][0])
            axes.set_title(classes[label].replace(" and ", "\nand "), **TEXT)
    return figure


@torch.inference_mode()
def interpolation(network: Any) -> Figure:
    """Rows of pictures between two draws of noise; of conditional networks a class a row."""
    noise = network.noise(2 * PAIRS, torch.Generator().manual_seed(0))
    path = torch.cat([arc(first, last, STEPS) for first, last in zip(noise[::2], noise[1::2])])
    condition = torch.arange(PAIRS, device=network.device).repeat_interleave(STEPS) if network.classes else None
    return grid(to_bytes(network.decode(path, condition % network.classes if condition is not None else None)), STEPS)


def arc(first: Tensor, last: Tensor, steps: int) -> Tensor:
    """Points (steps, D) from one vector to another at even angles, with lengths between theirs: the shell where noise lies is not left.

    Spherical interpolation (White 2016, Sampling Generative Networks, section 2.2).
    """
    share = torch.linspace(0, 1, steps, device=first.device)[:, None]
    lengths = (1 - share) * first.norm() + share * last.norm()
    cosine = torch.dot(first, last) / (first.norm() * last.norm()).clamp_min(1e-12)
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    unit = (torch.sin((1 - share) * angle) * first / first.norm() + torch.sin(share * angle) * last / last.norm()) / torch.sin(
        angle
    )
    return lengths * unit


@torch.inference_mode()
def plane(network: Any) -> Figure:
    """Pictures of the two latent numbers, at even steps of the normal distribution's probability, the first to the right."""
    steps = torch.from_numpy(norm.ppf(np.linspace(0.02, 0.98, SIDE)).astype(np.float32))
    down, right = torch.meshgrid(steps.flip(0), steps, indexing="ij")
    noise = torch.stack([right, down], -1).flatten(0, 1).to(network.device)
    return grid(to_bytes(network.decode(noise)), SIDE)


@torch.inference_mode()
def again(network: Any, images: np.ndarray, classes: Tensor) -> np.ndarray:
    """What is left of images, uint8 (N, H, W, C), after their mean codes."""
    inputs = to_float(torch.from_numpy(np.asarray(images))).to(network.device)
    condition = classes.to(network.device) if network.classes else None
    code, *_ = network.encode(inputs, condition)
    return to_bytes(network.decode(code, condition))
