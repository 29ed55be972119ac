"""From photographs to rows: faces are found, the faces of many photographs are read at once, and flagged."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from tasks.common import files, memory
from tasks.faces.annotations import NO_FACE, UNCERTAIN, Row
from tasks.faces.detector import Faces, coverage
from tasks.faces.emotions import EMOTIONS, SIZE, Emotions, sharpness
from tasks.faces.photographs import Photograph
from tasks.imaging import drawing, labels
from tasks.params.face_settings import Annotate, FindFaces

# Faces that are read at once. Most photographs have few, and a batch is filled up.
BATCH = 16
BLACK = np.zeros((SIZE, SIZE, 3), np.uint8)
PICTURES = "pictures"  # the folder of annotated photographs within the output
DRAWN = re.compile(r"-[0-9a-f]{12}\.png$")  # how their names end
THUMBNAIL = 72  # pixels of the long side
QUALITY = 80  # of thumbnails, WebP
# One colour an emotion, RGB; no answer is grey. Distinguishable without red and green.
COLOURS = dict(
    zip(
        (*EMOTIONS, UNCERTAIN),
        (
            (213, 94, 0),
            (148, 103, 189),
            (86, 180, 233),
            (240, 228, 66),
            (0, 114, 178),
            (204, 121, 167),
            (0, 158, 115),
            (150, 150, 150),
        ),
    )
)


@dataclass(frozen=True)
class Files:
    """The weights, as files that are there, and the numbers that were chosen for them or are asked for."""

    faces: Path
    emotions: Path
    find: FindFaces  # with its numbers filled in
    uncertain: float | None = None  # None: as chosen for the emotions' weights
    blurred: float | None = None
    small: float | None = None


class Annotator:
    """Both networks, loaded once."""

    def __init__(self, files: Files, settings: Annotate, device: str = "cpu", threads: int | None = None) -> None:
        """`threads` of the processor; None leaves them as they are. The process keeps a gigabyte of memory that is freed (`memory`). Raises Error for
        weights that are not what they should be."""
        memory.keep()
        if threads:
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
        self.settings, self.files = settings, files
        self.faces = Faces.load(files.faces, files.find, device, settings.precision)
        self.emotions = Emotions.load(files.emotions, device=device, precision=settings.precision)
        self.uncertain = files.uncertain
        self.blurred = self.emotions.blurred if files.blurred is None else files.blurred
        self.small = self.emotions.small if files.small is None else files.small

    def __call__(self, photographs: Sequence[Photograph]) -> list[list[Row]]:
        """The rows of each photograph, in the order of `annotations`; without `picture`."""
        images = [p.pixels for p in photographs if p.pixels is not None]
        found = iter(self.faces.detect(images))
        boxes = [next(found) if p.pixels is not None else np.zeros((0, 5), np.float32) for p in photographs]
        crops = [crop(p.pixels, box) for p, of in zip(photographs, boxes) if p.pixels is not None for box in of]
        probabilities, thresholds = self._read(crops)
        rows, start = [], 0
        for photograph, of in zip(photographs, boxes):
            own = slice(start, start := start + len(of))
            rows.append(self._rows(photograph, of, crops[own], probabilities[own], thresholds[own]))
        memory.trim()
        return rows

    def _read(self, crops: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (N, 7), and below which the answer is uncertain (N,). Batches are filled up, since in fp32 the last digits depend on a
        batch's size.
        """
        filled = [*crops, *[BLACK] * (-len(crops) % BATCH)]
        probabilities, thresholds = self.emotions.read(filled, BATCH)
        if self.uncertain is not None:
            thresholds = np.full(len(filled), self.uncertain)
        return probabilities[: len(crops)], thresholds[: len(crops)]

    def _rows(
        self,
        photograph: Photograph,
        boxes: np.ndarray,
        crops: list[np.ndarray],
        probabilities: np.ndarray,
        thresholds: np.ndarray,
    ) -> list[Row]:
        row: Row = {"sha256": photograph.sha256, "flags": "", "emotion": "", "picture": "", "reason": photograph.reason}
        if photograph.pixels is None:
            return [row]
        row |= {"width": photograph.width, "height": photograph.height}
        if not len(boxes):
            return [row | {"reason": NO_FACE}]
        scale = photograph.width / photograph.pixels.shape[1], photograph.height / photograph.pixels.shape[0]
        placed = boxes * np.array([*scale, *scale, 1], np.float32)
        covered = overlaps(placed)
        rows = []
        for face, (box, picture, values, threshold, cover) in enumerate(zip(placed, crops, probabilities, thresholds, covered)):
            x1, y1, x2, y2, confidence = map(float, box)
            best, sharp = int(values.argmax()), sharpness(picture)
            sure = float(values[best]) >= threshold
            rules = {
                "blurred": sharp < self.blurred,
                "small": min(x2 - x1, y2 - y1) < self.small,
                "overlap": cover > self.settings.flags.overlap,
                "cut": min(x1, y1, photograph.width - x2, photograph.height - y2) < self.settings.flags.cut,
                UNCERTAIN: not sure,
            }
            rows.append(
                row
                | {"face": face, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "face_confidence": confidence, "sharpness": sharp}
                | {"emotion": EMOTIONS[best] if sure else UNCERTAIN, "emotion_confidence": float(values[best])}
                | {name: float(value) for name, value in zip(EMOTIONS, values)}
                | {"flags": " ".join(flag for flag, raised in rules.items() if raised), "thumbnail": thumbnail(picture)}
            )
        return rows


def crop(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A face as the emotion network is shown it: the square about its box, within the photograph, uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in box[:4])
    half = max(x2 - x1, y2 - y1) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, round(x - half)), max(0, round(y - half))
    right, bottom = min(width, max(left + 1, round(x + half))), min(height, max(top + 1, round(y + half)))
    return pixels[min(top, height - 1) : bottom, min(left, width - 1) : right]


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """The largest share of each box (K, 4 or more) that another one covers, (K,)."""
    share = coverage(boxes)
    np.fill_diagonal(share, 0)
    largest: np.ndarray = share.max(1)
    return largest


def thumbnail(face: np.ndarray) -> bytes:
    """A face as a small WebP."""
    scale = min(1.0, THUMBNAIL / max(face.shape[:2]))
    size = max(1, round(face.shape[1] * scale)), max(1, round(face.shape[0] * scale))
    small = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".webp", small[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()


def draw(photograph: Photograph, rows: Sequence[Row]) -> np.ndarray:
    """The photograph with its boxes, uint8 (H, W, 3), and what is in them, as far as words cover no face.

    Where a box goes without words, a legend beside the photograph, which is wider by it, says what the colours mean.
    """
    assert photograph.pixels is not None
    scale = photograph.pixels.shape[1] / max(photograph.width, 1)

    def words(row: Row) -> str:
        return "?" if row["emotion"] == UNCERTAIN else f"{row['emotion']} {row['emotion_confidence']:.0%}"

    def corners(row: Row) -> drawing.Corners:
        return row["x1"] * scale, row["y1"] * scale, row["x2"] * scale, row["y2"] * scale

    picture, bare = labels.labelled(photograph.pixels, [(corners(row), _colour(row["emotion"]), words(row)) for row in rows])
    if not bare:
        return picture
    counts = Counter(row["emotion"] for row in rows)
    return labels.with_legend(picture, [(_colour(name), f"{name} {counts[name]}") for name in COLOURS if counts[name]])


def _colour(emotion: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[emotion])


def png(picture: np.ndarray) -> bytes:
    """uint8 (H, W, 3) as PNG; photographs are hardly smaller at higher levels, which take several times as long."""
    return cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def picture_name(path: str, sha256: str) -> str:
    """pictures/<name>-<hash>.png: a name that people know, and that no two contents share."""
    return f"{PICTURES}/{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(path).stem)[:80]}-{sha256[:12]}.png"


def keep_picture(folder: Path, photograph: Photograph, rows: list[Row], path: str) -> None:
    """Write the annotated photograph, where there is a face, and note its name in the rows."""
    if photograph.pixels is None or rows[0].get("face") is None:
        return
    name = picture_name(path, photograph.sha256)
    with files.atomic(folder / name) as temporary:
        temporary.write_bytes(png(draw(photograph, rows)))
    for row in rows:
        row["picture"] = name
