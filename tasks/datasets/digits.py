"""Handwritten digits: read from text, and painted onto scenes."""

import gzip
import zlib
from pathlib import Path

import cv2
import numpy as np

from tasks.datasets.damage import damaged
from tasks.datasets.records import Box


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The digits of a gzipped CSV file: images uint8 (N, 28, 28), labels int64 (N,). Raises Error for a damaged file.

    A row has 784 pixels and the label.
    """
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.uint8, ndmin=2)
        return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise damaged(path, error) from None


def place(scene: np.ndarray, digit: np.ndarray, label: str, boxes: list[Box], random: np.random.Generator) -> None:
    """Paint a digit (uint8 (28, 28), ink bright) onto the scene, clear of other boxes, and add its box, if there is room."""
    size = len(scene)
    height = size * random.uniform(0.18, 0.42)
    turn = cv2.getRotationMatrix2D((14, 14), random.uniform(-15, 15), height / 20)
    side = int(np.ceil(height * 2))
    turn[:, 2] = turn[:, 2] + (side / 2 - 14)
    ink = cv2.warpAffine(digit, turn, (side, side), flags=cv2.INTER_LINEAR)
    ys, xs = np.nonzero(ink > 64)
    if not len(ys):
        return
    ink = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    h, w = ink.shape
    if h > size or w > size:
        return
    for _ in range(50):
        x, y = int(random.integers(0, size - w + 1)), int(random.integers(0, size - h + 1))
        if all(min(x + w, b.x2) - max(x, b.x1) <= 2 or min(y + h, b.y2) - max(y, b.y1) <= 2 for b in boxes):
            break
    else:
        return
    under = scene[y : y + h, x : x + w].astype(np.float64)
    # Bright on dark and dark on bright, with a tint: a digit is always visible, and never known by its colour.
    colour = random.uniform(170, 255, 3) if under.mean() < 115 else random.uniform(0, 80, 3)
    alpha = ink[..., None] / 255
    scene[y : y + h, x : x + w] = np.rint(under + alpha * (colour - under)).astype(np.uint8)
    boxes.append(Box(label, x, y, x + w, y + h))
