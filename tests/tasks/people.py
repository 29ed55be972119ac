"""Photographs with and without people, small ones, and settings under which they take no time."""

from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from tasks.params.face_settings import Annotate, FindFaces

FACES = FindFaces(sizes=(128,), crowd_size=256, batch=2)
QUICK = Annotate(source="", faces=FACES)


def portrait() -> np.ndarray:
    """An astronaut's face and shoulders, uint8 (200, 200, 3)."""
    pixels: np.ndarray = skimage.data.astronaut()[:200, 120:320]
    return pixels


def write(folder: Path, count: int) -> Path:
    """`count` photographs of distinct content: portraits of different light, mirrored or not, and one without people."""
    folder.mkdir(parents=True, exist_ok=True)
    face = portrait()
    for i in range(count - 1):
        pixels = face[:, ::-1] if i % 2 else face
        Image.fromarray((pixels * (0.6 + 0.4 * (i + 1) / count)).astype(np.uint8)).save(folder / f"{i:03}.png")
    Image.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(folder / "wall.png")
    return folder


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path
