"""COCO's average precision, and its file format."""

import contextlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.kinds.detect import detections


def average_precision(found_boxes: np.ndarray, objects: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """COCO's average precision: `map` over IoU 0.5 to 0.95, `map75`, and `map50_coco` (101 points), at most 100 an image and class.

    A difficult object is what COCO calls a crowd, neither asked for nor counted against what meets it. The arithmetic is
    faster-coco-eval's: pycocotools gives the same numbers (tests), and takes several times as long.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    table = detections.flatten(found_boxes)
    if not len(table):
        return {"map": 0.0, "map50_coco": 0.0, "map75": 0.0}
    # Both libraries print as they go.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(dataset(objects, classes, len(found_boxes)), print_function=lambda *_: None)
        found = truth.loadRes(results(table))
        evaluation = COCOeval_faster(truth, found, "bbox", print_function=lambda *_: None)
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU, recall, class, area, detections); -1 where a class has no object.
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    each = np.where((precision > -1).all(1), precision.mean(1), np.nan)  # (IoU, class)
    return {"map": detections.mean(each), "map50_coco": detections.mean(each[0]), "map75": detections.mean(each[5])}


def dataset(objects: pd.DataFrame, classes: Sequence[str], images: int) -> dict[str, Any]:
    """Objects in COCO's format; ids count from 1, since 0 means none in its matching."""
    wide, high = objects["x2"] - objects["x1"], objects["y2"] - objects["y1"]
    annotations = [
        {"id": i, "image_id": image, "category_id": label, "bbox": [x, y, w, h], "area": w * h, "iscrowd": int(difficult)}
        for i, (image, label, x, y, w, h, difficult) in enumerate(
            zip(
                *(objects[c].tolist() for c in ("image", "label", "x1", "y1")), wide.tolist(), high.tolist(), objects["difficult"]
            ),
            1,
        )
    ]
    return {
        "images": [{"id": image} for image in range(images)],
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes)],
    }


def results(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of `flatten` in COCO's result format."""
    x, y = table["x1"], table["y1"]
    columns = (table["image"], table["label"], table["score"], x, y, table["x2"] - x, table["y2"] - y)
    return [
        {"image_id": image, "category_id": label, "score": score, "bbox": box}
        for image, label, score, *box in zip(*(c.tolist() for c in columns))
    ]


def record(file: str, image: np.ndarray, table: pd.DataFrame) -> dict[str, Any]:
    """An image and its detections in COCO's format, but for the ids, which `merge` gives."""
    height, width = image.shape[:2]
    annotations = [
        {key: value for key, value in result.items() if key != "image_id"}
        | {"bbox": [round(v, 2) for v in result["bbox"]], "area": round(result["bbox"][2] * result["bbox"][3], 2), "iscrowd": 0}
        for result in results(table)
    ]
    return {"image": {"file_name": file, "width": width, "height": height}, "annotations": annotations}


def merge(records: Iterable[dict[str, Any]], experiment: str, classes: Sequence[str], threshold: float, to: Path) -> None:
    """Write one COCO file of `record`s: images, annotations with their scores, categories."""
    whole: dict[str, Any] = {
        "info": {"description": f"detections of {experiment}, from a score of {threshold:.3f} on"},
        "images": [],
        "annotations": [],
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes)],
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
