"""Writing prepared data: arrays that grow a part at a time, Parquet tables beside them, and a hash over all of it."""

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common.errors import Error
from tasks.datasets.records import Problem


@dataclass
class Part:
    """Some images of a split, prepared."""

    # Each (N, ...), by the name of its file; "images" is uint8 (N, H, W, C).
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    levels: np.ndarray | None = None  # (C, 256): how often each value of a channel occurs
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the index, one an image
    # Rows by the name of their table; the first column, `image`, is the number of an image within the part.
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """What a kind of task writes beside the images, with the types of all columns.

    `index`: columns of the index beyond file, width and height; `tables`: further tables; `arrays`: the shape of one row of each
    further array, given an image's shape (H, W, C), and its type.
    """

    index: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    arrays: Mapping[str, Callable[[tuple[int, ...]], tuple[tuple[int, ...], str]]] = field(default_factory=dict)


class Array:
    """An `.npy` file that grows along its first axis, so that nothing but the block at hand is in memory."""

    def __init__(self, path: Path, shape: tuple[int, ...], kind: str = "|u1") -> None:
        """`shape`: of one row; `kind`: NumPy's name of its type, uint8 by default."""
        self.file = path.open("w+b")
        self.shape, self.kind, self.count = shape, kind, 0
        self._header()

    def _header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow: both headers have the same length.
        header = {"descr": self.kind, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, block: np.ndarray) -> None:
        self.count += len(block)
        self.file.write(np.ascontiguousarray(block, np.dtype(self.kind)).data)

    def close(self) -> bytes:
        """Finish the file, and give its SHA-256."""
        self.file.seek(0)
        self._header()
        self.file.flush()
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").digest()
        self.file.close()
        return digest


class SplitWriter:
    """One split's folder being written."""

    def __init__(self, folder: Path, dataset: str, layout: Layout, files: ExitStack) -> None:
        folder.mkdir()
        self.folder, self.dataset, self.layout, self.files = folder, dataset, layout, files
        self.shape: tuple[int, ...] = ()
        self.levels = np.zeros((3, 256))
        self.rows: list[dict[str, Any]] = []
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in layout.tables}
        self.arrays: dict[str, Array] = {}

    @property
    def count(self) -> int:
        return len(self.rows)

    def add(self, part: Part) -> None:
        """Append a part. Raises Error where its images have another size than those before."""
        if "images" not in part.arrays or part.levels is None:
            return
        shape = part.arrays["images"].shape[1:]
        if not self.shape:
            self._open(shape)
        if shape != self.shape:
            raise Error(f"preprocess: the images of {self.dataset} differ in size; give the key `size`")
        for name, rows in part.tables.items():
            self.tables[name].extend({**row, "image": self.count + row["image"]} for row in rows)
        self.rows.extend(part.rows)
        for name, array in self.arrays.items():
            array.append(part.arrays[name])
        self.levels[: self.shape[-1]] += part.levels

    def _open(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        shapes = {"images": (shape, "|u1"), **{name: of(shape) for name, of in self.layout.arrays.items()}}
        self.arrays = {name: Array(self.folder / f"{name}.npy", *described) for name, described in shapes.items()}
        for array in self.arrays.values():
            self.files.callback(array.file.close)

    def close(self, shape: tuple[int, ...]) -> bytes:
        """Write what is left, an empty split too, and give a hash over all of it."""
        if not self.shape:
            self._open(shape)
        elif self.shape != shape:
            raise Error(f"preprocess: the images of {self.dataset} differ between the splits: {self.shape}, {shape}")
        digest = hashlib.sha256(b"".join(array.close() for array in self.arrays.values()))
        index = {"file": object, "width": np.int32, "height": np.int32, **self.layout.index}
        frames = {"index": (self.rows, index)}
        frames |= {name: (self.tables[name], {"image": np.int64, **types}) for name, types in self.layout.tables.items()}
        for name, (rows, types) in frames.items():
            frame = pd.DataFrame(rows, columns=[*types]).astype(types)
            frame.to_parquet(self.folder / f"{name}.parquet", index=False)
            # Values and not files: a newer Parquet writer does not make new data.
            text = io.StringIO()
            frame.to_csv(text, index=False, lineterminator="\n")
            digest.update(text.getvalue().encode())
        return digest.digest()


def moments(levels: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel from histograms (C, 256), of pixels in [0, 1]."""
    values = np.arange(256) / 255
    share = levels / levels.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 0))
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())
