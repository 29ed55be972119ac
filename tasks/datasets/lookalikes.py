"""Photographs of one set that show what a photograph of another one shows: the same file, saved anew or at another size."""

from collections.abc import Iterable

import cv2
import numpy as np

from tasks.datasets.records import Image
from tasks.imaging import images

SIDE = 16
# Of grey levels; a photograph that is saved anew at another size is within one of itself.
NEAR = 3.0


def thumbnails(pictures: Iterable[tuple[str, Image]]) -> dict[str, np.ndarray]:
    """Each picture's thumbnail, float32 (256,), grey levels of 16 x 16 pixels by area; what cannot be read has none."""
    found = {}
    for name, picture in pictures:
        try:
            pixels = images.decode(picture, at_least=8 * SIDE).pixels if isinstance(picture, bytes) else picture
        except images.Undecodable:
            continue
        grey = pixels.mean(2, dtype=np.float32) if pixels.ndim == 3 else pixels.astype(np.float32)
        found[name] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
    return found


def lookalikes(pictures: Iterable[tuple[str, Image]], others: Iterable[tuple[str, Image]]) -> dict[str, str]:
    """Of `others` those whose thumbnail is within 3 grey levels (root mean square) of a picture's, by the name of that one."""
    known, strange = thumbnails(pictures), thumbnails(others)
    if not known or not strange:
        return {}
    left, right = np.stack([*known.values()]), np.stack([*strange.values()])
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    nearest = squares.argmin(0)
    names = [*known]
    near = squares[nearest, np.arange(len(right))] < NEAR**2 * SIDE**2
    return {name: names[nearest[index]] for index, name in enumerate(strange) if near[index]}
