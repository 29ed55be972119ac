"""Detections on a photograph of any size: found, drawn, and written in COCO's format."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import nn

from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.evaluation import detections
from tasks.imaging import images
from tasks.learning.training import to_float
from tasks.learning.weights import Configuration

Corners = tuple[float, float, float, float]
FILE = "detections.json"
OF_ONE = ".boxes.json"  # of a picture, in place of .png
# Where the weights do not say what was chosen on validation.
THRESHOLD = 0.25
COLOURS = ("#d2453b", "#2f74c9", "#2e9e6b", "#b76e14", "#8a55c9", "#0f8b96", "#c2408f", "#6b7a1f")


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


def threshold(configuration: Configuration) -> float:
    return THRESHOLD if configuration.threshold is None else configuration.threshold


def draw(image: np.ndarray, table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The image, uint8 (H, W, C), as uint8 (H, W, 3) with frames, names and scores; the surest on top."""
    rows = table[[*detections.CORNERS, "score", "label"]].to_numpy(float)
    return frames(
        image if image.shape[2] == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB),
        [
            ((x1, y1, x2, y2), COLOURS[int(label) % len(COLOURS)], f"{classes[int(label)]} {score:.0%}")
            for x1, y1, x2, y2, score, label in rows
        ],
    )


def frames(image: np.ndarray, boxes: Sequence[tuple[Corners, str, str]]) -> np.ndarray:
    """The image, uint8 (H, W, 3), with boxes in their colours, words above; the first on top, so that nothing covers it."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    side = max(picture.size)
    line, font = max(1, round(side / 300)), ImageFont.load_default(max(9, round(side / 45)))
    for (x1, y1, x2, y2), colour, words in reversed(boxes):
        # A frame's right and bottom pixels are within the box.
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        _, _, wide, high = pen.textbbox((0, 0), words, font=font)
        left, top = max(0.0, min(x1, picture.width - wide - 2 * line)), max(0.0, y1 - high - line)
        pen.rectangle((left, top, left + wide + 2 * line, top + high + line), fill=colour)
        red, green, blue = ImageColor.getrgb(colour)[:3]
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
        pen.text((left + line, top), words, fill="white" if dark else "black", font=font)
    return np.asarray(picture)


def record(file: str, image: np.ndarray, table: pd.DataFrame) -> dict[str, Any]:
    """An image and its detections in COCO's format, but for the ids, which `merge` gives."""
    height, width = image.shape[:2]
    annotations = [
        {key: value for key, value in result.items() if key != "image_id"}
        | {"bbox": [round(v, 2) for v in result["bbox"]], "area": round(result["bbox"][2] * result["bbox"][3], 2), "iscrowd": 0}
        for result in detections.coco_results(table)
    ]
    return {"image": {"file_name": file, "width": width, "height": height}, "annotations": annotations}


def merge(records: Iterable[dict[str, Any]], configuration: Configuration, to: Path) -> None:
    """Write one COCO file of `record`s: images, annotations with their scores, categories."""
    whole: dict[str, Any] = {
        "info": {"description": f"detections of {configuration.experiment}, from a score of {threshold(configuration):.3f} on"},
        "images": [],
        "annotations": [],
        "categories": [{"id": label, "name": name} for label, name in enumerate(configuration.classes)],
    }
    for index, one in enumerate(records):
        whole["images"].append({"id": index, **one["image"]})
        for annotation in one["annotations"]:
            whole["annotations"].append({"id": len(whole["annotations"]) + 1, "image_id": index, **annotation})
    write_json(to, whole)


def read(path: Path) -> dict[str, Any]:
    """A `record` from its file."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Error(f"{path}: cannot be read ({error}); remove {path.parent} and run again") from None
    return found
