"""One photograph at a time for the page and the HTTP API: faces, emotions, the annotated picture and the rows."""

import csv
import hashlib
import io
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.common.errors import Error
from tasks.datasets.emotions import EMOTIONS
from tasks.faces import annotations, annotator, face_weights, photographs
from tasks.faces.annotations import Row
from tasks.faces.annotator import Annotator
from tasks.faces.photographs import Photograph
from tasks.params.face_settings import Annotate
from tasks.profile import Profile

MAX_BYTES = 32 * 2**20
MAX_PIXELS = 50_000_000
LARGEST = 2560  # pixels of the long side of what is looked at and drawn; boxes are in the photograph's own
MAX_FACES = 500
COLUMNS = [name for name in annotations.COLUMNS if name not in ("image_path", "reason", "picture", "sha256")]


@dataclass(frozen=True)
class Seen:
    """A photograph and what was found in it."""

    photograph: Photograph
    rows: list[Row]

    @cached_property
    def png(self) -> bytes:
        """The photograph with its boxes."""
        return annotator.png(annotator.draw(self.photograph, self.rows))

    def table(self) -> list[dict[str, Any]]:
        """A dictionary a face, with the columns of the annotation's tables."""
        return [{name: row[name] for name in COLUMNS} for row in self.rows]

    def csv(self) -> str:
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in self.table())
        return out.getvalue()


class Reader:
    """Both networks, loaded at the first photograph. One photograph at a time: each takes all the processors."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.settings = Annotate(source="", largest=LARGEST)
        self.lock = threading.Lock()

    @cached_property
    def annotate(self) -> Annotator:
        return Annotator(face_weights.find(self.profile, self.settings), self.settings)

    def see(self, content: bytes) -> Seen:
        """Raises Error, with what to do, for content that is no photograph or too large."""
        if len(content) > MAX_BYTES:
            raise Error(f"it has {len(content) / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} MiB that are taken here")
        photograph = photographs.decode(content, hashlib.sha256(content).hexdigest(), LARGEST)
        if photograph.pixels is None:
            raise Error(photograph.reason)
        if photograph.width * photograph.height > MAX_PIXELS:
            raise Error(
                f"it has {photograph.width} x {photograph.height} pixels, more than the {MAX_PIXELS // 10**6} million taken here"
            )
        with self.lock:
            rows = [row for row in self.annotate([photograph])[0] if row.get("face") is not None]
        return Seen(photograph, rows[:MAX_FACES])


def sentence(seen: Seen) -> str:
    """What was found, in words."""
    if not seen.rows:
        return "No face was found."
    sure = [row["emotion"] for row in seen.rows if row["emotion"] in EMOTIONS]
    counted = ", ".join(f"{sure.count(name)} {name}" for name in EMOTIONS if name in sure)
    unsure = len(seen.rows) - len(sure)
    parts = [*([counted] if counted else []), *([f"{unsure} uncertain"] if unsure else [])]
    return f"{len(seen.rows)} face{'s' * (len(seen.rows) > 1)}: {', '.join(parts)}."
