"""What an image-to-image network is used for: the picture that it makes of a photograph of any size."""

from pathlib import Path

import numpy as np
from torch import nn

from tasks.imaging.images import as_channels, write_png
from tasks.imaging.tiles import OnTile, filter_image
from tasks.learning.tensors import to_bytes
from tasks.learning.weights import Configuration


def answer(outputs: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (N, H, W, C')."""
    return to_bytes(outputs)


def apply(network: nn.Module, configuration: Configuration, image: np.ndarray, name: str, output: Path, on_tile: OnTile) -> None:
    """Write what the network makes of a photograph, uint8 (H, W, 3), as PNG. `on_tile` is told of each tile's share."""
    write_png(output, filter_image(network, as_channels(image, configuration.inputs), on_tile=on_tile))
