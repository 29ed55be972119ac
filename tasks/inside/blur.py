"""The Gaussian blur that several ways of looking inside share."""

import torch
from torch import Tensor
from torch.nn import functional as F


def blur(images: Tensor, sigma: float) -> Tensor:
    """Images (N, C, H, W) under a Gaussian of a deviation of `sigma` pixels, cut off at three of them, edges repeated."""
    channels, radius = images.shape[1], max(1, round(3 * sigma))
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    window = torch.exp(-0.5 * (places / sigma) ** 2)
    window = (window / window.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, window, groups=channels)
    return F.conv2d(rows, window.transpose(2, 3), groups=channels)
