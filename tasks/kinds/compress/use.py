"""What a codec is used for: the picture that is left of a photograph after it was a file."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from models.codec import BLOCK, CHANNELS, MULTIPLE, UNIT, Codec
from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.common.files import atomic
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


class Synthesis(nn.Module):
    """Coefficients (N, 192, H, W), divided by the gain, and the quality from 0 to 1 as a plane (N, 1, H, W) to images in [0, 1]."""

    def __init__(self, network: Codec) -> None:
        super().__init__()
        self.network = network

    def forward(self, coefficients: Tensor, quality: Tensor) -> Tensor:
        return (self.network.synthesise(coefficients, quality) * UNIT + 0.5).clamp(0, 1)


def export(network: Codec, configuration: Configuration, to: Path) -> None:
    """Write the decoder's network as ONNX: what makes pixels of coefficients, in floats.

    Inputs `coefficients`, float32 (N, 192, H, W), which are decoded integers divided by the gain, and `quality`, (N, 1, H, W) from 0 to 1;
    output `images`, (N, 3, 8 H, 8 W) in [0, 1]. N, H and W are free. Reading a file takes the entropy model in integers too
    (`tasks.codec`), and the pixels here may differ from its in the last grey level.
    """
    height, width = MULTIPLE // BLOCK, MULTIPLE // BLOCK + 1
    example = torch.randn(2, CHANNELS, height, width), torch.rand(2, 1, height, width)
    shape = {0: Dim("batch", min=1), 2: Dim("height", min=1), 3: Dim("width", min=1)}
    with warnings.catch_warnings():
        # Both inputs have the same sides.
        warnings.filterwarnings("ignore", "# The axis name: .* will not be used")
        program = torch.onnx.export(
            Synthesis(network).eval(), example, input_names=["coefficients", "quality"], output_names=["images"],
            dynamic_shapes=(shape, shape), dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    with atomic(to) as temporary:
        program.save(temporary)
