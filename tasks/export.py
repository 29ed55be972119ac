"""Write a trained network as ONNX, for use without this project: `python -m tasks.export EXPERIMENT OUT.onnx`."""

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.export import Dim

from models.boxes import Detector
from tasks import apply, config
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.config import Profile
from tasks.learning.weights import Configuration


def export(profile: Profile, experiment: str, to: Path, weights: Path | None = None) -> Path:
    """Write an experiment's network: input `images`, float32 (N, C, H, W) in [0, 1], RGB; output `outputs`, logits or images.

    A detector has the outputs `boxes` (N, A, 4), or (N, A, classes, 4) of Faster R-CNN, in pixels, and `scores` (N, A, classes), at the
    training's size alone; Faster R-CNN takes one image at a time. What is left to do is `models.boxes.suppress` with `floor`, `iou`
    and `most`, which stand in the metadata under `suppress`: non-maximum suppression class by class.

    N, H and W are free; H and W of a network with a `multiple` are multiples of it. The weights' configuration stands in the
    model's metadata under `darkroom`. Raises Error for an unknown experiment, missing weights, and another suffix than .onnx.
    """
    if to.suffix != ".onnx":
        raise Error(f"{to}: give a name that ends in .onnx")
    network, configuration = apply.load(profile, experiment, weights)
    network = network.cpu().to(memory_format=torch.contiguous_format)
    if isinstance(network, Detector):
        return _detector(network, configuration, to)
    multiple = int(getattr(network, "multiple", 1))
    # Sizes of one would be taken for constants, and equal ones for the same.
    side = -(-configuration.size // multiple) * multiple
    example = torch.rand(2, configuration.inputs, side, side + multiple)
    height, width = Dim("height", min=1), Dim("width", min=1)
    shape = {0: Dim("batch", min=1), 2: multiple * height, 3: multiple * width}
    program = torch.onnx.export(
        network, (example,), input_names=["images"], output_names=["outputs"], dynamic_shapes=(shape,), dynamo=True, verbose=False
    )
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    with atomic(to) as temporary:
        program.save(temporary)
    return to


class Raw(nn.Module):
    """A detector before the last non-maximum suppression, whose loop over images ONNX has no form for."""

    def __init__(self, detector: Detector, size: int) -> None:
        super().__init__()
        self.detector, self.size = detector, size

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.detector.candidates(self.detector.stem(images), (self.size, self.size))


def _detector(network: Detector, configuration: Configuration, to: Path) -> Path:
    # Faster R-CNN thins its proposals inside, for as many images as it was exported with.
    one = configuration.network == "faster_rcnn"
    example = torch.rand(1 if one else 2, configuration.inputs, configuration.size, configuration.size)
    shape = None if one else ({0: Dim("batch", min=1)},)
    with warnings.catch_warnings():
        # ultralytics keeps the last grid that it made.
        warnings.filterwarnings("ignore", "The tensor attributes .* were assigned during export")
        program = torch.onnx.export(
            Raw(network, configuration.size).eval(), (example,), input_names=["images"], output_names=["boxes", "scores"],
            dynamic_shapes=shape, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    program.model.metadata_props["suppress"] = json.dumps({"floor": network.floor, "iou": network.iou, "most": network.most})
    with atomic(to) as temporary:
        program.save(temporary)
    return to


def main(
    experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml, trained before")],
    to: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="the file to write")],
    weights: Annotated[
        Path | None,
        typer.Option(help="a .safetensors file of the experiment; by default what is trained here, else what came along"),
    ] = None,
) -> None:
    """Write a trained network as ONNX, with free batch, height and width: float32 (N, C, H, W) in [0, 1] in, RGB."""
    print(f"exported {experiment}: {export(config.load(), experiment, to, weights)}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
