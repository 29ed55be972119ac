"""Whether a saliency map is worth anything: its numbers, and what becomes of it when the network is drawn at random.

Deletion and insertion: Petsiuk et al. 2018 (RISE). Pointing game: Zhang et al. 2018. The check by randomisation: Adebayo et al. 2018.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

# Absolute rank correlation that a map may keep after all layers are re-drawn.
PASSES = 0.3
BATCH = 32


@torch.no_grad()
def probabilities(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """The probability (N,) of each image's class."""
    parts = zip(images.split(BATCH), classes.split(BATCH))
    return torch.cat([network(part).softmax(1).gather(1, of[:, None])[:, 0] for part, of in parts])


def curve(
    network: nn.Module, image: Tensor, other: Tensor, saliency: Tensor, label: int, steps: int, ends: np.ndarray
) -> np.ndarray:
    """The class's probability (steps + 1,) as the most salient pixels of `image` are put in the place of those of `other`.

    That is insertion, of images `other` with nothing to see; deletion where both are swapped. `image`, `other`: (C, H, W); `saliency`: (H, W);
    `ends`: the probabilities in `other` and in `image`, which no map changes.
    """
    order = saliency.flatten().argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    counts = torch.linspace(0, len(order), steps + 1, device=order.device).round()[1:-1]
    salient = ranks.view(1, 1, *saliency.shape) < counts.view(-1, 1, 1, 1)
    between = probabilities(network, torch.where(salient, image, other), counts.new_full((steps - 1,), label, dtype=torch.int64))
    return np.concatenate([ends[:1], between.cpu().numpy(), ends[1:]])


def area(values: np.ndarray) -> float:
    """The area under a curve over equal steps from 0 to 1, by trapezoids."""
    return float((values[1:] + values[:-1]).mean() / 2)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of two maps; 0 where one of them is the same everywhere, which orders nothing."""
    first, second = (rankdata(of.ravel()) for of in (one, other))
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def randomised(network: nn.Module, stops: int, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Networks with more and more layers re-drawn, from the last to the first, and the name of the last one that was: `stops` of them.

    A layer's weights are put into a random order, so that their scale stays. The last network has every layer re-drawn.
    """
    drawn = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    layers = [(name, module) for name, module in drawn.named_modules() if [*module.parameters(recurse=False)]][::-1]
    stop = {round(place) for place in np.linspace(len(layers), 0, min(stops, len(layers)), endpoint=False)}
    for number, (name, layer) in enumerate(layers, 1):
        with torch.no_grad():
            for parameter in layer.parameters(recurse=False):
                order = torch.randperm(parameter.numel(), generator=random).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
        if number in stop:
            yield name, drawn


def points_into(saliency: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether the most salient pixel of a map (H, W) lies in one of the boxes (M, 4), as corners in pixels."""
    y, x = np.unravel_index(int(saliency.argmax()), saliency.shape)
    inside = (boxes[:, 0] <= x + 0.5) & (x + 0.5 <= boxes[:, 2]) & (boxes[:, 1] <= y + 0.5) & (y + 0.5 <= boxes[:, 3])
    return bool(inside.any())


def covered(boxes: np.ndarray, height: int, width: int) -> float:
    """The share of an image that its boxes (M, 4) cover: how often a random pixel would lie in one."""
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in boxes.round().astype(int):
        mask[max(0, y1) : y2, max(0, x1) : x2] = True
    return float(mask.mean())
