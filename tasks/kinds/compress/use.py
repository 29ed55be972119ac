"""What a codec is used for: the picture that is left of a photograph after it was a file."""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.imaging.images import write_png
from tasks.imaging.tiles import OnTile
from tasks.learning.tensors import to_bytes
from tasks.learning.weights import Configuration

QUALITY = 50


def answer(outputs: np.ndarray) -> np.ndarray:
    """What is left of pictures at the middle quality, uint8 (N, H, W, 3)."""
    return to_bytes(outputs)


def apply(network: Any, configuration: Configuration, image: np.ndarray, name: str, output: Path, on_tile: OnTile) -> None:
    """Write what is left of a photograph, uint8 (H, W, 3), at the middle quality, as PNG."""
    codec = Pictures(network)
    write_png(output, file.decompress(codec, file.compress(codec, file.Picture(image), QUALITY)).pixels)
    on_tile(1)
