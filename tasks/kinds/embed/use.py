"""What two encoders are used for: vectors of photographs and of sentences."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from tasks.common.files import atomic
from tasks.learning.weights import Configuration

SENTENCES = ".sentences.onnx"  # of the text encoder beside the image encoder, in place of .onnx


def answer(outputs: np.ndarray) -> np.ndarray:
    """Unit vectors of images, float32 (N, D): the cosine of two is their product."""
    return outputs


class _Sentences(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: Tensor) -> Tensor:
        vectors: Tensor = self.network.encode_sentences(numbers)
        return vectors


def export(network: Any, configuration: Configuration, to: Path) -> None:
    """Write both encoders as ONNX: `to` takes `images`, float32 (N, C, S, S) in [0, 1], and the file beside it, NAME.sentences.onnx,
    `sentences`, int64 (N, T), numbers of words; both return unit vectors `vectors` (N, D). The words stand in the metadata."""
    side = configuration.size
    _write(network, torch.rand(2, configuration.inputs, side, side), "images", {0: Dim("batch", min=1)}, configuration, to)
    numbers = torch.randint(4, max(5, len(configuration.classes)), (2, 12))
    shape = {0: Dim("batch", min=1), 1: Dim("words", min=1)}
    _write(_Sentences(network), numbers, "sentences", shape, configuration, to.with_suffix(SENTENCES))
    print(f"{to.with_suffix(SENTENCES)}: the encoder of sentences", file=sys.stderr)


def _write(
    network: nn.Module, example: Tensor, name: str, shape: Mapping[int, Any], configuration: Configuration, to: Path
) -> None:
    program = torch.onnx.export(
        network.eval(),
        (example,),
        input_names=[name],
        output_names=["vectors"],
        dynamic_shapes=(dict(shape),),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    with atomic(to) as temporary:
        program.save(temporary)
