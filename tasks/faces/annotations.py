"""What is known of the faces of photographs, as tables: a row a face, and a row for each photograph without one.

Results are flushed as parts, Parquet files that appear whole or not at all, by the content's hash: a photograph that stands at
several paths is in them once. The final table has the rows of each path.
"""

import contextlib
import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common import files
from tasks.datasets.emotions import EMOTIONS

FLAGS = ("blurred", "small", "overlap", "cut", "uncertain")
UNCERTAIN, NO_FACE = "uncertain", "no face"

_BOX = [(name, pa.float32()) for name in ("x1", "y1", "x2", "y2", "face_confidence")]
PART = pa.schema(
    [
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("face", pa.int32()),  # 0, 1, ... in order of falling confidence; missing where there is none
        *_BOX,
        ("emotion", pa.string()),
        ("emotion_confidence", pa.float32()),
        *((emotion, pa.float32()) for emotion in EMOTIONS),
        ("sharpness", pa.float32()),
        ("flags", pa.string()),  # separated by spaces
        ("reason", pa.string()),  # why there is no face
        ("picture", pa.string()),  # the annotated photograph, seen from the output's folder
        ("thumbnail", pa.binary()),  # the face as WebP
    ]
)
# Of the final table; `sha256` and `picture` say which photographs are the same, and where the annotated one is.
COLUMNS = ["image_path", *(name for name in PART.names if name not in ("sha256", "picture", "thumbnail")), "picture", "sha256"]

Row = dict[str, Any]


class Parts:
    """A folder of parts, which grows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def paths(self) -> list[Path]:
        """The whole ones: what a killed process left of another has a name that starts with a dot, and is swept."""
        return sorted(path for path in self.folder.glob("*.parquet") if not path.name.startswith("."))

    def write(self, rows: Iterable[Row]) -> None:
        """A part, whose name is a hash of its photographs' contents."""
        table = pa.Table.from_pylist(list(rows), schema=PART)
        name = hashlib.sha256("".join(sorted(set(table["sha256"].to_pylist()))).encode()).hexdigest()
        with files.atomic(self.folder / f"{name}.parquet") as temporary:
            pq.write_table(table, temporary)

    def done(self, pictures: Path | None) -> set[str]:
        """The contents that are in a part; with `pictures`, the output's folder, those whose picture is not missing.

        What cannot be read is removed, and its photographs are done again.
        """
        found: set[str] = set()
        for path in self.paths():
            try:
                table = pq.read_table(path, columns=["sha256", "picture"])
            except (pa.ArrowInvalid, OSError):
                path.unlink()
                continue
            for sha256, picture in set(zip(*(column.to_pylist() for column in table.columns))):
                if pictures is None or not picture or (pictures / picture).exists():
                    found.add(sha256)
        return found

    def read(self, thumbnails: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows, without pictures of faces; or, for `thumbnails`, the pictures of these contents alone."""
        columns = ["sha256", "face", "thumbnail"] if thumbnails is not None else [n for n in PART.names if n != "thumbnail"]
        wanted = None if thumbnails is None else [("sha256", "in", list(thumbnails))]
        schema = pa.schema([PART.field(name) for name in columns])
        # A filter by an empty list is an error.
        paths = self.paths() if thumbnails is None or thumbnails else []
        tables = [pq.read_table(path, columns=columns, filters=wanted, schema=PART) for path in paths]
        table = pa.concat_tables(tables) if tables else schema.empty_table()
        # Where a picture was missing a photograph was done again; its later rows are the same.
        frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True).astype({"face": "Int32"})
        return frame.drop_duplicates(["sha256", "face"], ignore_index=True)


def final(index: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The table of an index of paths (`photographs.index`) and of the rows of their contents, in order of path and face."""
    readable = index[index["sha256"] != ""]
    joined = readable[["image_path", "sha256"]].merge(rows, on="sha256", how="left", validate="many_to_many")
    unread = index.loc[index["sha256"] == "", ["image_path", "reason"]]
    table = pd.concat([joined, unread], ignore_index=True) if len(unread) else joined
    for name in ("emotion", "flags", "reason", "picture", "sha256"):
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    table = table.astype({"width": "Int32", "height": "Int32", "face": "Int32"})
    return table.sort_values(["image_path", "face"], kind="stable", ignore_index=True)[COLUMNS]


def save(table: pd.DataFrame, folder: Path) -> None:
    """faces.parquet and faces.csv."""
    with files.atomic(folder / "faces.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    # The csv module does not quote a name for a carriage return in it, at which readers end the line.
    quoting: Literal[0, 1] = csv.QUOTE_ALL if table["image_path"].str.contains("\r", regex=False).any() else csv.QUOTE_MINIMAL
    with files.atomic(folder / "faces.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n", quoting=quoting)


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Photographs, faces, those without, and faces by emotion and by flag."""
    faces = table[table["face"].notna()]
    flags = faces["flags"].str.split().explode()
    distinct = int(table.loc[table["sha256"] != "", "sha256"].nunique())
    return {
        "photographs": int(table["image_path"].nunique()),
        "distinct": distinct,
        "copies": int(table.loc[table["sha256"] != "", "image_path"].nunique()) - distinct,
        "faces": len(faces),
        "without_face": int((table["reason"] == NO_FACE).sum()),
        "unreadable": int(table["face"].isna().sum() - (table["reason"] == NO_FACE).sum()),
        **{f"emotion_{name}": int((faces["emotion"] == name).sum()) for name in (*EMOTIONS, UNCERTAIN)},
        **{f"flag_{name}": int((flags == name).sum()) for name in FLAGS},
    }


def latest(path: Path) -> pd.DataFrame | None:
    """A Parquet file, or None where there is none that can be read."""
    with contextlib.suppress(OSError, pa.ArrowInvalid):
        return pd.read_parquet(path)
    return None
