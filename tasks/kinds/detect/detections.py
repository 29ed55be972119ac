"""Detections against annotated boxes: average precision as PASCAL VOC and as COCO define it, and what the errors are.

Detections are float (N, K, 6): for each image K rows x1, y1, x2, y2 (pixels), score, class; rows of score 0 are none. Objects are a
table with the columns image, label, x1, y1, x2, y2, difficult (`tasks.kinds.detect.data.boxes`). IoU does not change when both are scaled along
an axis, so that the prepared pixels give the numbers of the original ones; VOC's own code adds 1 to widths since its corners are
pixels, which ours are not (`tasks.datasets.records.Box`).

VOC (Everingham et al. 2010, section 4.2): detections of a class in order of falling score; each meets the object of its class in its
image that it overlaps most; it is correct where that IoU is 0.5 or more and the object was not found before. What meets a difficult
object is neither right nor wrong, and a difficult object is not asked for. The mean is over the classes that have an object.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torchvision.ops import box_iou

IOU = 0.5
BACKGROUND = 0.1  # overlaps below this are with nothing (Hoiem et al. 2012)
OUTCOMES = ("correct", "duplicate", "location", "wrong_class", "background", "ignored")
# Square roots of areas in pixels of the prepared image, at which objects are divided into sizes.
EDGES = (0, 16, 32, 64, 128)
CORNERS = ["x1", "y1", "x2", "y2"]


def flatten(detections: np.ndarray) -> pd.DataFrame:
    """A row a detection: image, x1, y1, x2, y2, score, label; in order of falling score, ties in the order that they came in."""
    image, place = np.nonzero(detections[..., 4] > 0)
    rows = detections[image, place].astype(np.float64)
    table = pd.DataFrame(rows, columns=[*CORNERS, "score", "label"]).astype({"label": np.int64})
    table.insert(0, "image", image)
    return table.iloc[np.argsort(-rows[:, 4], kind="stable")].reset_index(drop=True)


def match(detections: np.ndarray, objects: pd.DataFrame) -> pd.DataFrame:
    """`flatten`, and what each detection meets.

    `object`: row in `objects` of the one of its class in its image that it overlaps most, or -1; `overlap`: that IoU; `difficult`: of
    that object; `other`: its largest IoU with an object of another class.
    """
    table = flatten(detections)
    overlap, other = np.zeros(len(table)), np.zeros(len(table))
    met = np.full(len(table), -1)
    corners, labels = objects[CORNERS].to_numpy(np.float64), objects["label"].to_numpy()
    own_rows, their_rows = table.groupby("image").indices, objects.reset_index(drop=True).groupby("image").indices
    boxes, classes = table[CORNERS].to_numpy(), table["label"].to_numpy()
    for image in own_rows.keys() & their_rows.keys():
        mine, theirs = own_rows[image], their_rows[image]
        iou = box_iou(torch.from_numpy(boxes[mine]), torch.from_numpy(corners[theirs])).numpy()
        same = classes[mine, None] == labels[None, theirs]
        own = np.where(same, iou, -1.0)
        best = own.argmax(1)
        there = same.any(1)
        overlap[mine] = np.maximum(own.max(1), 0)
        met[mine] = np.where(there, theirs[best], -1)
        other[mine] = np.where(same, 0, iou).max(1)
    table["overlap"], table["object"], table["other"] = overlap, met, other
    difficult = objects["difficult"].to_numpy(bool)
    table["difficult"] = difficult[met] & (met >= 0) if len(difficult) else False
    return table


def outcomes(table: pd.DataFrame, iou: float = IOU) -> np.ndarray:
    """What became of each row of `match`, as an index into OUTCOMES.

    Errors as Hoiem et al. 2012: a duplicate of a correct one; a location that overlaps its object by a tenth or more, but too
    little; another class's object; background.
    """
    hit = (table["overlap"] >= iou).to_numpy()
    ignored = hit & table["difficult"].to_numpy(bool)
    found = hit & ~ignored
    first = np.zeros(len(table), bool)
    # Rows are in order of falling score: an object's first is the one that counts.
    first[np.flatnonzero(found)[~table.loc[found, "object"].duplicated().to_numpy()]] = True
    kinds = [first, found & ~first, ignored, table["overlap"] >= BACKGROUND, table["other"] >= BACKGROUND]
    names = ["correct", "duplicate", "ignored", "location", "wrong_class"]
    return np.select(kinds, [OUTCOMES.index(name) for name in names], OUTCOMES.index("background"))


def recall_precision(correct: np.ndarray, objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision after each detection, `correct` (D,) in order of falling score."""
    hits = np.cumsum(correct)
    return hits / max(objects, 1), hits / np.arange(1, len(correct) + 1)


def all_point(recall: np.ndarray, precision: np.ndarray) -> float:
    """Average precision as VOC counts it since 2010: the area under the curve made monotone."""
    recall = np.concatenate([[0.0], recall])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def eleven_point(recall: np.ndarray, precision: np.ndarray) -> float:
    """Average precision as VOC counted it in 2007: the best precision at or beyond recalls of 0, 0.1, ... 1, averaged."""
    # A recall of 3 in 10 is at 0.3, whatever its last bit.
    return float(np.mean([precision[recall >= level - 1e-9].max(initial=0.0) for level in np.linspace(0, 1, 11)]))


def curves(table: pd.DataFrame, objects: pd.DataFrame, classes: Sequence[str], iou: float = IOU) -> pd.DataFrame:
    """Precision-recall curves: a row a detection that counts, with class, score, recall, precision."""
    kinds = outcomes(table, iou)
    asked = _asked(objects, len(classes))
    parts = []
    for label, name in enumerate(classes):
        rows = (table["label"] == label).to_numpy() & (kinds != OUTCOMES.index("ignored"))
        recall, precision = recall_precision(kinds[rows] == 0, asked[label])
        part = pd.DataFrame({"class": name, "score": table["score"][rows], "recall": recall, "precision": precision})
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def per_class(
    table: pd.DataFrame, objects: pd.DataFrame, classes: Sequence[str], threshold: float = 0.0, iou: float = IOU
) -> pd.DataFrame:
    """A row a class: ap and ap_11point over all scores; precision, recall, f1 and the outcomes of scores from `threshold` on.

    `support`: objects that are not difficult; without any, ap is not a number. `missed`: those that nothing found.
    """
    kinds = outcomes(table, iou)
    asked = _asked(objects, len(classes))
    sure = (table["score"] >= threshold).to_numpy()
    rows = []
    for label, name in enumerate(classes):
        own = (table["label"] == label).to_numpy()
        recall, precision = recall_precision(kinds[own & (kinds != OUTCOMES.index("ignored"))] == 0, asked[label])
        counts = np.bincount(kinds[own & sure], minlength=len(OUTCOMES))
        scores = _scores(counts, asked[label])
        has = asked[label] > 0
        rows.append(
            {
                "class": name,
                "ap": all_point(recall, precision) if has else np.nan,
                "ap_11point": eleven_point(recall, precision) if has else np.nan,
                **scores,
                "support": asked[label],
                **dict(zip(OUTCOMES, counts.tolist())),
                "missed": asked[label] - counts[0],
            }
        )
    return pd.DataFrame(rows)


def choose_threshold(table: pd.DataFrame, objects: pd.DataFrame) -> float:
    """The score from which on F1, over the detections of all classes together, is highest: to be chosen on validation."""
    kinds = outcomes(table)
    counted = kinds != OUTCOMES.index("ignored")
    total = int((~objects["difficult"].astype(bool)).sum())
    if not counted.any() or not total:
        return 1.0
    correct = np.cumsum(kinds[counted] == 0)
    f1 = 2 * correct / (np.arange(1, len(correct) + 1) + total)
    return float(table["score"][counted].iloc[int(f1.argmax())])


def summary(
    detections: np.ndarray, objects: pd.DataFrame, classes: Sequence[str], threshold: float | None = None
) -> dict[str, float]:
    """map50 and map50_11point; precision, recall and f1 of all classes together from a score of `threshold` on.

    Without a `threshold` the best one of these very detections is taken and returned beside them, which is for validation alone.
    """
    table = match(detections, objects)
    chosen = choose_threshold(table, objects) if threshold is None else threshold
    rows = per_class(table, objects, classes, chosen)
    counts = rows[[*OUTCOMES]].sum().to_numpy()
    scores = {"map50": mean(rows["ap"]), "map50_11point": mean(rows["ap_11point"])} | _scores(counts, int(rows["support"].sum()))
    return scores | ({"threshold": chosen} if threshold is None else {})


def recall_by_size(table: pd.DataFrame, objects: pd.DataFrame, threshold: float, edges: Sequence[float] = EDGES) -> pd.DataFrame:
    """A row a size of objects (square root of the area in pixels, from `from` on): objects and recall from `threshold` on."""
    found = np.zeros(len(objects), bool)
    found[table["object"][(outcomes(table) == 0) & (table["score"] >= threshold)]] = True
    side = np.sqrt((objects["x2"] - objects["x1"]) * (objects["y2"] - objects["y1"])).to_numpy()
    asked = ~objects["difficult"].to_numpy(bool)
    bins = np.digitize(side, edges) - 1
    rows = []
    for index, low in enumerate(edges):
        own = asked & (bins == index)
        rows.append({"from": low, "objects": int(own.sum()), "recall": float(found[own].mean()) if own.any() else np.nan})
    return pd.DataFrame(rows)


def _asked(objects: pd.DataFrame, classes: int) -> list[int]:
    """Objects of each class that are not difficult."""
    asked = objects["label"][~objects["difficult"].astype(bool)]
    counts: list[int] = np.bincount(asked, minlength=classes).tolist()
    return counts


def _scores(counts: np.ndarray, asked: int) -> dict[str, float]:
    """Precision, recall and F1 of outcomes' counts; 0 where there is nothing to divide by."""
    correct = int(counts[0])
    counted = int(counts.sum() - counts[OUTCOMES.index("ignored")])
    return {
        "precision": correct / max(counted, 1),
        "recall": correct / max(asked, 1),
        "f1": 2 * correct / max(counted + asked, 1),
    }


def mean(values: Any) -> float:
    """Over what is a number; 0 where nothing is."""
    values = np.asarray(values, np.float64)
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
