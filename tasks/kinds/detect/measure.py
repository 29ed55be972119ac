"""What an evaluation of a detector measures and writes: tables, precision-recall curves, errors by kind, and pictures chosen by rule."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.imaging.figures import save
from tasks.kinds.detect import coco, detections, figures
from tasks.kinds.detect.data import boxes
from tasks.kinds.detect.use import predict
from tasks.learning.measuring import Out, Test

# Points of a curve in its table: a class may have a hundred thousand detections.
POINTS = 101


def measure(test: Test) -> tuple[np.ndarray, dict[str, float]]:
    """Detections (N, K, 6) of a split, and their metrics; precision and recall are at the threshold that validation chose for these weights."""
    found = predict(test.network, test.data.images, test.precision)
    objects = boxes(test.data)
    summary = detections.summary(found, objects, test.info.classes, _threshold(test))
    return found, summary | coco.average_precision(found, objects, test.info.classes)


def write(test: Test, found: np.ndarray, out: Out) -> None:
    """Write tables, figures, and the detections themselves."""
    threshold, objects, classes = _threshold(test), boxes(test.data), test.info.classes
    table = detections.match(found, objects)
    kinds = detections.outcomes(table)
    table.assign(outcome=np.array(detections.OUTCOMES)[kinds]).to_parquet(out.predictions / "detections.parquet", index=False)
    each = detections.per_class(table, objects, classes, threshold)
    curves = detections.curves(table, objects, classes)
    out.table("per_class", each)
    out.table("curves", thin(curves))
    out.table("recall_by_size", detections.recall_by_size(table, objects, threshold))
    save(figures.precision_recall(curves, each, threshold), out.plots / "precision_recall.png")
    save(figures.errors(each), out.plots / "errors.png")
    save(figures.drawn(test.data.images, objects, table, kinds, classes, threshold), out.plots / "detections.png")


def _threshold(test: Test) -> float:
    chosen: Any = test.configuration.threshold
    return float(test.validated["threshold"] if chosen is None else chosen)


def thin(curves: pd.DataFrame) -> pd.DataFrame:
    """Of each class's curve the points nearest to even distances."""
    kept = [
        rows.iloc[np.unique(np.linspace(0, len(rows) - 1, POINTS).astype(int))] for _, rows in curves.groupby("class", sort=False)
    ]
    return pd.concat(kept) if kept else curves
