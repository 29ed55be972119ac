"""What a detector is used for: boxes on a photograph of any size, drawn and in COCO's format."""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from models.boxes import Detector
from tasks.common.files import atomic, write_json
from tasks.imaging import drawing, images
from tasks.imaging.images import as_channels, write_png
from tasks.imaging.tiles import OnTile
from tasks.kinds.detect import coco, detections
from tasks.learning.tensors import predict as predicted
from tasks.learning.tensors import to_float
from tasks.learning.weights import Configuration

# Where the weights do not say what was chosen on validation.
THRESHOLD = 0.25
# Images at once: detectors' are large, and more would not be faster.
BATCH = 32
FILE = "detections.json"
OF_ONE = ".boxes.json"  # of a picture, in place of .png


def answer(outputs: np.ndarray) -> np.ndarray:
    """Detections, float32 (N, K, 6) (`models.boxes`)."""
    return outputs


def predict(network: nn.Module, pixels: np.ndarray | Tensor, precision: str = "bf16") -> np.ndarray:
    """Detections, float32 (N, K, 6), of uint8 images (N, H, W, C)."""
    return predicted(network, pixels, precision=precision, batch_size=BATCH)


def threshold(configuration: Configuration) -> float:
    """The score from which on a detection counts."""
    return THRESHOLD if configuration.threshold is None else configuration.threshold


@torch.inference_mode()
def find(network: nn.Module, configuration: Configuration, image: np.ndarray) -> pd.DataFrame:
    """Detections from the weights' threshold on: image (0), x1, y1, x2, y2 in pixels of the image, uint8 (H, W, C), score, label.

    The image is scaled into a square of the training's size and padded, as the training's images were.
    """
    height, width = image.shape[:2]
    square, (x, y) = images.fit(image, configuration.size, (width, height))
    parameter = next(network.parameters())
    found = network.eval()(to_float(torch.from_numpy(square)[None]).to(parameter.device)).float().cpu().numpy()
    table = detections.flatten(found)
    table = table[table["score"] >= threshold(configuration)].reset_index(drop=True)
    table[["x1", "x2"]] = (table[["x1", "x2"]] / x).clip(0, width)
    table[["y1", "y2"]] = (table[["y1", "y2"]] / y).clip(0, height)
    return table


def draw(image: np.ndarray, table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """The image, uint8 (H, W, C), as uint8 (H, W, 3) with frames, names and scores; the surest on top."""
    rows = table[[*detections.CORNERS, "score", "label"]].to_numpy(float)
    colours = drawing.COLOURS
    return drawing.frames(
        as_channels(image, 3),
        [
            ((x1, y1, x2, y2), colours[int(label) % len(colours)], f"{classes[int(label)]} {score:.0%}")
            for x1, y1, x2, y2, score, label in rows
        ],
    )


def apply(network: nn.Module, configuration: Configuration, image: np.ndarray, name: str, output: Path, on_tile: OnTile) -> None:
    """Write a photograph, uint8 (H, W, 3), with its boxes as PNG, and the boxes beside it as JSON."""
    table = find(network, configuration, as_channels(image, configuration.inputs))
    write_json(output.with_suffix(OF_ONE), coco.record(name, image, table))
    write_png(output, draw(image, table, configuration.classes))


def finish(configuration: Configuration, outputs: Iterable[Path], to: Path) -> None:
    """Write the boxes of all pictures as one file in COCO's format: `to`/detections.json, or beside a single picture."""
    records = (coco.read(output.with_suffix(OF_ONE)) for output in outputs)
    path = to / FILE if to.is_dir() else to.with_suffix(OF_ONE)
    coco.merge(records, configuration.experiment, configuration.classes, threshold(configuration), path)


class Raw(nn.Module):
    """A detector before the last non-maximum suppression, whose loop over images ONNX has no form for."""

    def __init__(self, detector: Detector, size: int) -> None:
        super().__init__()
        self.detector, self.size = detector, size

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return self.detector.candidates(self.detector.stem(pixels), (self.size, self.size))


def export(network: Detector, configuration: Configuration, to: Path) -> None:
    """Write a detector as ONNX; see `tasks.export`.

    It has the outputs `boxes` (N, A, 4), or (N, A, classes, 4) of Faster R-CNN, in pixels, and `scores` (N, A, classes), at the
    training's size alone; Faster R-CNN takes one image at a time. What is left to do is `models.boxes.suppress` with `floor`, `iou`
    and `most`, which stand in the metadata under `suppress`: non-maximum suppression class by class.
    """
    # Faster R-CNN thins its proposals inside, for as many images as it was exported with.
    one = configuration.network == "faster_rcnn"
    example = torch.rand(1 if one else 2, configuration.inputs, configuration.size, configuration.size)
    shape = None if one else ({0: torch.export.Dim("batch", min=1)},)
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
