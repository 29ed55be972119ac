"""How well faces were found in whole photographs: average precision, recall by size and by faces in a photograph."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.datasets.records import Item
from tasks.faces import photographs
from tasks.faces.annotator import Files
from tasks.faces.detector import Faces
from tasks.imaging import figures
from tasks.imaging.figures import BLUE, ORANGE, TEXT, plain
from tasks.kinds.detect import detections
from tasks.kinds.detect.detections import CORNERS
from tasks.learning.measuring import Out
from tasks.params.face_settings import Annotate

FLOOR = 0.01  # scores below it do not enter the average precision
BATCH = 16
CLASSES = ("face",)
PRECISE = 0.9  # share of boxes that are right, at which detectors are compared whatever their thresholds
# Of a face, in pixels of the photograph: the shorter side of its box.
SIZES = (0, 16, 32, 64, 128)
COUNTS = (1, 2, 5, 11, 31)  # faces in a photograph, from so many on


class Detector(Protocol):
    """What finds faces: ours, or a peer."""

    def detect(self, photographs: Sequence[np.ndarray], floor: float) -> list[np.ndarray]: ...


def measure(files: Files, settings: Annotate, truth: Mapping[str, Item], folder: Path, out: Out) -> dict[str, float]:
    """Metrics (`evaluated`) of all photographs of `folder` that have boxes; tables and a figure are written."""
    find, threshold = files.find, files.find.threshold
    assert threshold is not None
    names = [name for name, item in truth.items() if item.boxes is not None]
    objects, whole = read_objects(names, truth, folder, settings.largest)
    faces = Faces.load(files.faces, find, precision=settings.precision)
    return evaluated(stacked(detect(faces, whole, folder, settings.largest)), objects, threshold, out)


def evaluated(found: np.ndarray, objects: pd.DataFrame, threshold: float, out: Out | None = None) -> dict[str, float]:
    """How well faces were found, detections (N, K, 6) against boxes; with `out` tables and a figure are written.

    `map50`: AP at IoU 0.5 (Everingham et al. 2010) of scores from 0.01 on. `map50_16px`: of faces of 16 pixels and more; a smaller one
    that is found is neither right nor wrong. `recall`, `precision`, `f1`: from the threshold on; `recall_32px`: of faces of 32 pixels and more;
    `recall_32px_p90`: of those, from the score on at which most faces are found with 90 % of all boxes right, whatever the threshold.
    """
    scores = {k: v for k, v in detections.summary(found, objects, CLASSES, threshold).items() if k != "map50_11point"}
    small = objects["difficult"] | (shorter(objects) < 16)
    scores["map50_16px"] = detections.summary(found, objects.assign(difficult=small), CLASSES, threshold)["map50"]
    large = objects.assign(difficult=objects["difficult"] | (shorter(objects) < 32))
    scores["recall_32px"] = detections.summary(found, large, CLASSES, threshold)["recall"]
    table = detections.match(found, objects)
    curve = detections.curves(table, objects, CLASSES)
    precise = curve["score"][curve["precision"] >= PRECISE].min()
    at = detections.summary(found, large, CLASSES, float(precise)) if np.isfinite(precise) else {"recall": 0.0}
    scores["recall_32px_p90"] = at["recall"]
    if out is not None:
        sizes, counts = recall_by_size(table, objects, threshold), recall_by_count(table, objects, threshold)
        out.table("recall_by_size", sizes)
        out.table("recall_by_count", counts)
        figures.save(draw(curve, sizes, counts), out.plots / "found_faces.png")
    return scores


def shorter(objects: pd.DataFrame) -> np.ndarray:
    """The shorter side of each box, pixels: the width of most faces."""
    sides: np.ndarray = np.minimum((objects["x2"] - objects["x1"]).to_numpy(), (objects["y2"] - objects["y1"]).to_numpy())
    return sides


def read_objects(names: list[str], truth: Mapping[str, Item], folder: Path, largest: int) -> tuple[pd.DataFrame, list[str]]:
    """Boxes clipped to their photographs, as `tasks.kinds.detect.data.boxes`, and the photographs that can be opened, by their row."""
    rows: list[tuple[float, ...]] = []
    whole: list[str] = []
    for name in names:
        photograph = photographs.decode((folder / name).read_bytes(), name, largest)
        if photograph.pixels is None:
            continue
        width, height = photograph.width, photograph.height
        for box in truth[name].boxes or ():
            x1, x2 = np.clip([box.x1, box.x2], 0, width)
            y1, y2 = np.clip([box.y1, box.y2], 0, height)
            if x2 > x1 and y2 > y1:
                rows.append((len(whole), 0, x1, y1, x2, y2, box.difficult))
        whole.append(name)
    table = pd.DataFrame(rows, columns=["image", "label", *CORNERS, "difficult"])
    return table.astype({"image": int, "label": int, "difficult": bool}), whole


def detect(faces: Detector, names: list[str], folder: Path, largest: int) -> list[np.ndarray]:
    """Of each photograph the boxes (K, 5) of all scores, in pixels of the original."""
    found: list[np.ndarray] = []
    for start in range(0, len(names), BATCH):
        opened = [photographs.decode((folder / name).read_bytes(), name, largest) for name in names[start : start + BATCH]]
        pixels = [photograph.pixels for photograph in opened if photograph.pixels is not None]
        for photograph, boxes in zip(opened, faces.detect(pixels, FLOOR)):
            assert photograph.pixels is not None
            scale = photograph.width / photograph.pixels.shape[1], photograph.height / photograph.pixels.shape[0]
            found.append(boxes * np.array([*scale, *scale, 1], np.float32))
    return found


def stacked(found: list[np.ndarray]) -> np.ndarray:
    """Boxes (K, 5) of each photograph as detections (N, K, 6) of the one class."""
    out = np.zeros((len(found), max(map(len, found), default=0), 6), np.float32)
    for row, boxes in zip(out, found):
        row[: len(boxes), :5] = boxes
    return out


def recall_by_size(table: pd.DataFrame, objects: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """A row a size of faces (from `from` on): faces and recall from `threshold` on."""
    found, asked = _found(table, objects, threshold), ~objects["difficult"].to_numpy(bool)
    bins = np.digitize(shorter(objects), SIZES) - 1
    rows = [(low, asked & (bins == index)) for index, low in enumerate(SIZES)]
    return pd.DataFrame({"from": low, "objects": int(here.sum()), "recall": _share(found, here)} for low, here in rows)


def recall_by_count(table: pd.DataFrame, objects: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """A row a number of faces in a photograph (from `from` on): photographs, faces and recall from `threshold` on."""
    found, asked = _found(table, objects, threshold), ~objects["difficult"].to_numpy(bool)
    per_photograph = objects[asked].groupby("image").size()
    own = objects["image"].map(per_photograph).fillna(0).to_numpy()
    bins = np.digitize(own, COUNTS) - 1
    rows = []
    for index, low in enumerate(COUNTS):
        here = asked & (bins == index)
        several = int((np.digitize(per_photograph.to_numpy(), COUNTS) - 1 == index).sum())
        rows.append({"from": low, "photographs": several, "objects": int(here.sum()), "recall": _share(found, here)})
    return pd.DataFrame(rows)


def _found(table: pd.DataFrame, objects: pd.DataFrame, threshold: float) -> np.ndarray:
    """Whether each object is found by a detection (`detections.match`) of at least `threshold`."""
    found = np.zeros(len(objects), bool)
    found[table["object"][(detections.outcomes(table) == 0) & (table["score"] >= threshold)]] = True
    return found


def _share(found: np.ndarray, here: np.ndarray) -> float:
    return float(found[here].mean()) if here.any() else np.nan


def draw(curves: pd.DataFrame, sizes: pd.DataFrame, counts: pd.DataFrame) -> Figure:
    """Precision against recall, and recall by size and by faces in a photograph."""
    figure = Figure((10, 3.2), figures.SHARP, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(curves["recall"], curves["precision"], color=BLUE)
    left.set(xlim=(0, 1), ylim=(0, 1.02))
    left.set_xlabel("recall", **TEXT)
    left.set_ylabel("precision", **TEXT)
    for axes, table, words, colour in (
        (middle, sizes, "size of the face, pixels", BLUE),
        (right, counts, "faces in the photograph", ORANGE),
    ):
        labels = _ranges(table["from"].astype(int).tolist())
        axes.bar(labels, table["recall"].fillna(0), color=colour)
        for place, (recall, objects) in enumerate(zip(table["recall"].fillna(0), table["objects"])):
            axes.text(place, recall + 0.01, f"{objects:,}", ha="center", fontsize=7)
        axes.set(ylim=(0, 1.1))
        axes.tick_params(axis="x", labelsize=7)
        axes.set_xlabel(words, **TEXT)
        axes.set_ylabel("recall (faces above)", **TEXT)
    for axes in (left, middle, right):
        plain(axes, spines=("bottom", "left"))
    return figure


def _ranges(edges: list[int]) -> list[str]:
    """From each edge to the next: 1, 2–4, 5–10, ≥ 11."""
    words = [str(low) if high - low == 1 else f"{low}–{high - 1}" for low, high in pairwise(edges)]
    return [*words, f"≥ {edges[-1]}"]
