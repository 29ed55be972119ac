"""The contact sheet: one HTML file that opens without a server, with a card a face, to be sorted and filtered by emotion and flag."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from tasks.common import files, pages
from tasks.datasets.emotions import EMOTIONS
from tasks.faces.annotations import FLAGS, NO_FACE, UNCERTAIN, Parts
from tasks.faces.annotator import COLOURS
from tasks.imaging import pictures

LARGEST = 3000  # faces on the sheet: more do not open well
MOST_REASONS = 200


def write(table: pd.DataFrame, parts: Parts, folder: Path, title: str) -> Path:
    """contact-sheet.html of a table of faces (`annotations.final`); of more than `LARGEST` an even choice, and the page says so."""
    faces = table[table["face"].notna()]
    shown = faces if len(faces) <= LARGEST else faces.iloc[:: -(-len(faces) // LARGEST)]
    thumbnails = parts.read(thumbnails=shown["sha256"].unique().tolist()).set_index(["sha256", "face"])["thumbnail"]
    rows: Iterable[Any] = shown.itertuples(index=False)
    cards = [
        {
            "picture": pictures.uri(thumbnails[row.sha256, row.face]),
            "link": quote(row.picture) if row.picture else "",
            "path": row.image_path,
            "name": os.path.basename(row.image_path),
            "emotion": row.emotion,
            "confidence": row.emotion_confidence,
            "probabilities": ", ".join(f"{name} {100 * getattr(row, name):.0f} %" for name in EMOTIONS),
            "face": row.face_confidence,
            "sharpness": row.sharpness,
            "side": min(row.x2 - row.x1, row.y2 - row.y1),
            "flags": row.flags.split(),
        }
        for row in rows
    ]
    without = table.loc[table["face"].isna(), ["image_path", "reason"]]
    page = pages.render(
        "contact_sheet.html.j2",
        [Path(__file__).parent],
        title=title,
        cards=cards,
        total=len(faces),
        photographs=int(table["image_path"].nunique()),
        emotions=[*EMOTIONS, UNCERTAIN],
        flags=FLAGS,
        colours={name: "rgb({}, {}, {})".format(*colour) for name, colour in COLOURS.items()},
        without_face=int((without["reason"] == NO_FACE).sum()),
        unreadable=without[without["reason"] != NO_FACE].head(MOST_REASONS).to_dict("records"),
        unread=int((without["reason"] != NO_FACE).sum()),
    )
    files.write_text(folder / "contact-sheet.html", page)
    return folder / "contact-sheet.html"
