"""An index of a folder of photographs: a vector for each content, kept in a folder of its own and updated.

    index.json         the network that made the vectors, by the hash of its weights
    files.parquet      a row a path: bytes, time of change, hash of the content, or the reason why it could not be read
    parts/*.parquet    a row a content: its hash, the vector (fp16), or the reason why there is none

A part appears whole or not at all, so that an index that was interrupted goes on; a photograph that moved is not looked at again.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common import files
from tasks.common.errors import Error
from tasks.faces.annotations import latest

FOLDER = ".darkroom-find"
VERSION = 1
PART = pa.schema([("sha256", pa.string()), ("vector", pa.binary()), ("reason", pa.string())])


class Row(NamedTuple):
    """What is known of a photograph's content: its vector, float (D,), or the reason why there is none."""

    sha256: str
    vector: np.ndarray | None
    reason: str = ""

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Row":
        """The row that `as_record` wrote."""
        packed = record["vector"]
        return cls(record["sha256"], None if packed is None else _unpacked(packed), record["reason"])


class Found(NamedTuple):
    """The photographs of an index: paths of those with a vector, their unit vectors float32 (N, D), and reasons by the other paths."""

    paths: list[str]
    vectors: np.ndarray
    unreadable: dict[str, str]


@dataclass(frozen=True)
class Index:
    """A folder's index. `network`: the hash of the weights that make its vectors, `dimensions` numbers each."""

    folder: Path
    network: str
    dimensions: int

    @property
    def _parts(self) -> Path:
        return self.folder / "parts"

    @property
    def _table(self) -> Path:
        return self.folder / "files.parquet"

    def known(self) -> pd.DataFrame | None:
        """The paths of the last time; None where there was none, or where the table is damaged."""
        return latest(self._table)

    def done(self) -> set[str]:
        """The contents that are in a part; a part that cannot be read is removed, and its photographs are looked at again."""
        found: set[str] = set()
        for path in self._whole():
            try:
                found.update(pq.read_table(path, columns=["sha256"], schema=PART)["sha256"].to_pylist())
            except (pa.ArrowInvalid, OSError):
                path.unlink()
        return found

    def add(self, rows: Iterable[Row]) -> None:
        """Write a part, whose name is a hash of its contents."""
        values = [as_record(row) for row in rows]
        table = pa.Table.from_pylist(values, schema=PART)
        name = hashlib.sha256("".join(sorted(row["sha256"] for row in values)).encode()).hexdigest()
        with files.atomic(self._parts / f"{name}.parquet") as temporary:
            pq.write_table(table, temporary)

    def close(self, table: pd.DataFrame) -> None:
        """Write which paths there are (`tasks.faces.photographs.index`): what is no longer there is found no more."""
        with files.atomic(self._table) as temporary:
            table.to_parquet(temporary, index=False)

    def read(self) -> Found:
        """The photographs that are in the index."""
        tables = [pq.read_table(path, schema=PART) for path in self._whole()]
        records = (pa.concat_tables(tables) if tables else PART.empty_table()).to_pylist()
        by_content = {record["sha256"]: Row.of(record) for record in records}
        paths, vectors, unreadable = [], [], {}
        known = self.known()
        for path, sha256, reason in () if known is None else zip(known["image_path"], known["sha256"], known["reason"]):
            row = by_content.get(sha256)
            if row is not None and row.vector is not None:
                paths.append(path)
                vectors.append(row.vector)
            else:
                unreadable[path] = reason or (row.reason if row else "not looked at yet")
        matrix = np.stack(vectors) if vectors else np.zeros((0, self.dimensions), np.float32)
        return Found(paths, matrix / np.linalg.norm(matrix, axis=1, keepdims=True).clip(min=1e-6), unreadable)

    def _whole(self) -> list[Path]:
        return sorted(path for path in self._parts.glob("*.parquet") if not path.name.startswith("."))


def open_index(folder: Path, network: str, dimensions: int, name: str) -> Index:
    """The index in a folder, or a new one there, for the vectors of a network.

    `name`: what the network is called in a sentence. Raises Error for an index that another network made, one that is damaged, and for a
    folder that cannot be written.
    """
    card = folder / "index.json"
    expected = {"version": VERSION, "network": network, "dimensions": dimensions, "name": name}
    try:
        found = json.loads(card.read_bytes())
        made_by, version = found["network"], found["version"]
    except (FileNotFoundError, NotADirectoryError):
        _make(folder)
        files.write_json(card, expected)
        return Index(folder, network, dimensions)
    except (ValueError, KeyError, TypeError):
        raise Error(f"{card}: damaged; remove {folder}, and it is made anew") from None
    if (made_by, version) != (network, VERSION):
        raise Error(
            f"{folder}: an index of another network ({found.get('name', 'unknown')}, not {name}), whose vectors do not compare; "
            "name its weights with --weights, give this network an index of its own with --index, or remove the folder"
        )
    return Index(folder, network, dimensions)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, os.strerror(13))
    except OSError as error:
        raise Error(f"{folder}: the index cannot be kept there ({error.strerror}); give another place with --index") from None


def as_record(row: Row) -> dict[str, Any]:
    """A row as a part holds it."""
    packed = None if row.vector is None else np.asarray(row.vector, np.dtype("<f2")).tobytes()
    return {"sha256": row.sha256, "vector": packed, "reason": row.reason}


def _unpacked(packed: bytes) -> np.ndarray:
    return np.frombuffer(packed, np.dtype("<f2")).astype(np.float32)
