"""Write a trained network as ONNX, for use without this project: `python -m tasks.export EXPERIMENT OUT.onnx`."""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.export import Dim

from tasks import apply, config, kinds
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.profile import Profile


def export(profile: Profile, experiment: str, to: Path, weights: Path | None = None) -> Path:
    """Write an experiment's network: input `images`, float32 (N, C, H, W) in [0, 1], RGB; output `outputs`, logits or images.

    A kind of task may have another form (`export` of `tasks/kinds/<kind>/use.py`), as detectors do.

    N, H and W are free; H and W of a network with a `multiple` are multiples of it. The weights' configuration stands in the
    model's metadata under `darkroom`. Raises Error for an unknown experiment, missing weights, and another suffix than .onnx.
    """
    if to.suffix != ".onnx":
        raise Error(f"{to}: give a name that ends in .onnx")
    network, configuration = apply.load(profile, experiment, weights)
    network = network.cpu().to(memory_format=torch.contiguous_format)
    use = kinds.part(configuration.task, "use")
    if hasattr(use, "export"):
        use.export(network, configuration, to)
        return to
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


def main(
    experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml, trained before")],
    to: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="the file to write")],
    weights: Annotated[
        Path | None,
        typer.Option(
            callback=readable, help="a .safetensors file of the experiment; by default what is trained here, else what came along"
        ),
    ] = None,
) -> None:
    """Write a trained network as ONNX, with free batch, height and width: float32 (N, C, H, W) in [0, 1] in, RGB."""
    print(f"exported {experiment}: {export(config.load(), experiment, to, weights)}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
