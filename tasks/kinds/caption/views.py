"""Views of training images whose features are kept: whole, mirrored, and squares cut out of them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tasks.imaging.images import resize

SMALLEST = 0.7  # share of an image's side that a square has at least


def views(images: Tensor, crops: int, flip: bool) -> Iterator[tuple[Tensor, bool]]:
    """Images, uint8 (N, H, W, 3), each with whether its mirror image is meant: all of each, then `crops` times a square of each."""
    for number in range(crops + 1):
        seen = cut(images, number) if number else images
        yield from ((seen, mirrored) for mirrored in ((False, True) if flip else (False,)))


def cut(images: Tensor, number: int) -> Tensor:
    """A square of each image, of any size from `SMALLEST` of it and at any place, uint8 (N, H, W, 3).

    The draw depends on `number` alone, so that the seeds of an experiment share what is seen.
    """
    rng = np.random.default_rng(number)
    height, width = images.shape[1:3]
    found = np.empty(images.shape, np.uint8)
    for row, image in zip(found, images.cpu().numpy()):
        share = rng.uniform(SMALLEST, 1)
        sides = round(height * share), round(width * share)
        y, x = (int(rng.integers(0, whole - side + 1)) for whole, side in zip((height, width), sides))
        row[:] = resize(image[y : y + sides[0], x : x + sides[1]], width, height)
    return torch.from_numpy(found)
