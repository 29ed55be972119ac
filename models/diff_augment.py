"""Augmentation that gradients pass (Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training, section 3.2).

A discriminator that sees a few thousand images again and again learns them by heart. Here it sees neither real images nor made ones as
they are: both are changed at random in the same ways, and the generator learns through the changes. Its own images should not show
them, since a change that real images have as well gives none away.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# How far an image moves, and how long a side the hole in it has, as shares of the image's.
SHIFT, HOLE = 1 / 8, 1 / 2


def diff_augment(x: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], each with colours, a place and a hole of its own draw; what is not there is grey, which is 0."""
    return cut_out(shifted(coloured(x)))


def coloured(x: Tensor) -> Tensor:
    """Each image with a brightness, a saturation and a contrast of its own draw."""

    def drawn() -> Tensor:
        return torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)

    x = x + drawn() - 0.5
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * 2 * drawn()
    level = x.mean((1, 2, 3), keepdim=True)
    return level + (x - level) * (drawn() + 0.5)


def shifted(x: Tensor) -> Tensor:
    """Each image moved by up to an eighth of its sides."""
    count, _, height, width = x.shape
    down, right = round(height * SHIFT), round(width * SHIFT)
    rows = _places(count, height, down, x.device)[:, :, None]
    columns = _places(count, width, right, x.device)[:, None]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, right, right, down, down))
    return padded[torch.arange(count, device=x.device)[:, None, None], rows, columns].permute(0, 3, 1, 2)


def _places(count: int, side: int, most: int, device: torch.device) -> Tensor:
    """Where the pixels of a side are taken from in one that has `most` more at each end, (N, side)."""
    return torch.randint(0, 2 * most + 1, (count, 1), device=device) + torch.arange(side, device=device)


def cut_out(x: Tensor) -> Tensor:
    """Each image with a square hole of half its side, whose middle is anywhere."""
    count, _, height, width = x.shape
    rows, columns = _hole(count, height, x.device)[:, :, None], _hole(count, width, x.device)[:, None]
    return x.masked_fill((rows & columns)[:, None], 0)


def _hole(count: int, side: int, device: torch.device) -> Tensor:
    """Which pixels of a side the hole has, (N, side)."""
    half = round(side * HOLE / 2)
    distance = torch.arange(side, device=device) - torch.randint(0, side, (count, 1), device=device)
    return (distance >= -half) & (distance < half)
