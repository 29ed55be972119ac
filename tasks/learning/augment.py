"""Augmentation of whole batches, with a draw for each image.

Selection, shift and mirroring are one gather of uint8 pixels from the data set in memory, so that augmented images cost hardly
more than plain ones, and a target image moves exactly as its input does.
"""

import numpy as np
import torch
from torch import Tensor

from tasks.params.recipe import ImageAugment


class Geometry:
    """Where each pixel of a batch comes from: drawn once, applied to images and to their targets alike."""

    def __init__(self, recipe: ImageAugment, rows: Tensor, size: tuple[int, int], rng: np.random.Generator) -> None:
        """`rows`: (B,) indices of images; `size`: their height and width."""
        height, width = size
        count = len(rows)
        y = np.broadcast_to(np.arange(height), (count, height))
        x = np.broadcast_to(np.arange(width), (count, width))
        if recipe.crop:
            y = _reflect(y + rng.integers(-recipe.crop, recipe.crop, (count, 1), endpoint=True), height)
            x = _reflect(x + rng.integers(-recipe.crop, recipe.crop, (count, 1), endpoint=True), width)
        if recipe.flip or recipe.dihedral:
            x = np.where(rng.random((count, 1)) < 0.5, x[:, ::-1], x)
        if recipe.dihedral:
            y = np.where(rng.random((count, 1)) < 0.5, y[:, ::-1], y)
        self.rows = rows
        self.identity = not (recipe.crop or recipe.flip or recipe.dihedral)
        self.y, self.x = torch.from_numpy(y.copy()), torch.from_numpy(x.copy())
        self.transposed = torch.from_numpy(rng.random(count) < 0.5) if recipe.dihedral else None

    def __call__(self, images: Tensor) -> Tensor:
        """Pick the batch from `images` (N, H, W, C) uint8: (B, H, W, C)."""
        device = images.device
        rows = self.rows.to(device)
        if self.identity:
            return images[rows]
        batch = images[rows[:, None, None], self.y.to(device)[:, :, None], self.x.to(device)[:, None, :]]
        if self.transposed is not None:
            batch = torch.where(self.transposed.to(device)[:, None, None, None], batch.transpose(1, 2), batch)
        return batch


def _reflect(index: np.ndarray, size: int) -> np.ndarray:
    """Mirror indices at the borders without repeating the border pixel: -1 is 1, and `size` is `size - 2`."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * size - 2
    index = np.abs(index) % period
    return np.minimum(index, period - index)


def colours(recipe: ImageAugment, images: Tensor, rng: np.random.Generator) -> Tensor:
    """Cutout and colour jitter of float images (N, C, H, W) in [0, 1]."""
    count, _, height, width = images.shape

    def draw() -> Tensor:
        factor = rng.uniform(1 - recipe.jitter, 1 + recipe.jitter, (count, 1, 1, 1)).astype(np.float32)
        return torch.from_numpy(factor).to(images.device)

    if recipe.jitter:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey.expand_as(images), images, draw())  # saturation
        mean = grey.mean((2, 3), keepdim=True)
        images = torch.lerp(mean.expand_as(images), images, draw())  # contrast
        images = (images * draw()).clamp(0, 1)  # brightness
    if recipe.cutout:
        # The square's centre may lie anywhere, so that it is cut off at the border (DeVries and Taylor 2017, section 3.2).
        top = rng.integers(0, height, (count, 1)) - recipe.cutout // 2
        left = rng.integers(0, width, (count, 1)) - recipe.cutout // 2
        y = (np.arange(height) >= top) & (np.arange(height) < top + recipe.cutout)
        x = (np.arange(width) >= left) & (np.arange(width) < left + recipe.cutout)
        hidden = torch.from_numpy(y[:, None, :, None] & x[:, None, None, :]).to(images.device)
        images = torch.where(hidden, images.mean((0, 2, 3), keepdim=True), images)
    return images


def mixup(alpha: float, images: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blend each image and its target with another of the batch (Zhang et al. 2018, equation 1).

    `targets`: float (N, ...), class probabilities or images.
    """
    count = len(images)
    other = torch.from_numpy(rng.permutation(count)).to(images.device)
    share = torch.from_numpy(rng.beta(alpha, alpha, count).astype(np.float32)).to(images.device)

    def blend(values: Tensor) -> Tensor:
        return torch.lerp(values[other], values, share.view(-1, *[1] * (values.ndim - 1)))

    return blend(images), blend(targets)
