"""Choose how a trained face detector is used, on validation: `python -m tasks.face_thresholds EXPERIMENT`.

Writes results/EXPERIMENT/calibration.json (the score from which on a box is a face, and the overlap beyond which of two boxes the surer one
stays), which `tasks.promote` puts into the card of the embedded weights, and plots of the choice beside it.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from tasks import config, detections
from tasks.config import Profile
from tasks.data import Data, info
from tasks.errors import Error
from tasks.face_settings import FindFaces
from tasks.faces import Faces
from tasks.files import write_json, write_text

OVERLAPS = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)
FLOOR = 0.01
BATCH = 64


def choose(profile: Profile, experiment: str) -> pd.DataFrame:
    """A row an overlap of non-maximum suppression: AP, and F1, recall and precision at the threshold of its best F1, on validation.

    The overlap with the highest AP is written down, with its threshold. Raises Error for an experiment that finds no faces.
    """
    chosen = profile.experiment(experiment)
    folder = profile.processed(chosen.data)
    classes = info(folder).classes
    if chosen.network != "yolov8" or classes != ("face",):
        raise Error(f"{experiment}: not a detector of faces alone (network: yolov8 on data with one class, face)")
    val = Data(folder, "val")
    weights = profile.results(experiment) / "weights" / f"seed-{chosen.seeds[0]}.safetensors"
    rows = []
    for overlap in OVERLAPS:
        size = info(folder).size
        settings = FindFaces(sizes=(size,), threshold=FLOOR, nms=overlap, batch=16)
        found = _found(Faces.load(weights, settings, precision="fp32"), np.asarray(val.images))
        scores = detections.summary(found, val.boxes, classes)
        rows.append({"nms": overlap, **{key: scores[key] for key in ("map50", "f1", "recall", "precision", "threshold")}})
    table = pd.DataFrame(rows)
    best = table.iloc[int(table["map50"].to_numpy().round(4).argmax())]
    results = profile.results(experiment)
    write_text(results / "nms.csv", table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    write_json(results / "calibration.json", {"threshold": round(float(best["threshold"]), 4), "nms": float(best["nms"])})
    return table


def _found(faces: Faces, images: np.ndarray) -> np.ndarray:
    """Detections (N, K, 6) of images (N, H, W, 3)."""
    boxes = [b for start in range(0, len(images), BATCH) for b in faces.detect(list(images[start : start + BATCH]), FLOOR)]
    out = np.zeros((len(boxes), max(map(len, boxes)), 6), np.float32)
    for row, own in zip(out, boxes):
        row[: len(own), :5] = own
    return out


def main(
    experiment: Annotated[str, typer.Argument(help="a trained experiment with network: yolov8 on faces")] = "face-yolov8n",
) -> None:
    """Choose a face detector's threshold and its non-maximum suppression on validation; then: python -m tasks.promote EXPERIMENT."""
    table = choose(config.load(Path(".")), experiment)
    print(table.to_string(index=False), file=sys.stderr)


if __name__ == "__main__":
    from tasks.cli import run

    run(main)
