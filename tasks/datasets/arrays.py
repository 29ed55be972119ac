"""Writing prepared data: arrays that grow a part at a time, Parquet tables beside them, and a hash over all of it."""

import hashlib
import io
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common.errors import Error
from tasks.datasets.records import Problem
from tasks.params.preparation import Prepare, PrepareClassify, PrepareDetect, PrepareTranslate


@dataclass
class Part:
    """Some images of a split, prepared."""

    images: np.ndarray | None = None  # uint8 (N, H, W, C)
    targets: np.ndarray | None = None  # uint8 (N, H, W, 1)
    levels: np.ndarray | None = None  # (C, 256): how often each value occurs
    rows: list[tuple[str, int, int, int | None]] = field(default_factory=list)
    boxes: list[tuple[int, int, float, float, float, float, bool]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Array:
    """An `.npy` file of uint8 that grows along its first axis, so that nothing but the block at hand is in memory."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.file = path.open("w+b")
        self.shape, self.count = shape, 0
        self._header()

    def _header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow: both headers have the same length.
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, block: np.ndarray) -> None:
        self.count += len(block)
        self.file.write(np.ascontiguousarray(block).data)

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

    def __init__(self, folder: Path, block: Prepare, files: ExitStack) -> None:
        folder.mkdir()
        self.folder, self.block, self.files = folder, block, files
        self.shape: tuple[int, ...] = ()
        self.levels = np.zeros((3, 256))
        self.rows: list[tuple[Any, ...]] = []
        self.boxes: list[tuple[Any, ...]] = []
        self.arrays: list[Array] = []

    @property
    def count(self) -> int:
        return len(self.rows)

    def add(self, part: Part) -> None:
        """Append a part. Raises Error where its images have another size than those before."""
        if part.images is None or part.levels is None:
            return
        if not self.shape:
            self._open(part.images.shape[1:])
        if part.images.shape[1:] != self.shape:
            raise Error(f"preprocess: the images of {self.block.dataset} differ in size; give the key `size`")
        self.boxes.extend((self.count + row, *rest) for row, *rest in part.boxes)
        self.rows.extend(part.rows)
        for array, pixels in zip(self.arrays, (part.images, part.targets)):
            if pixels is not None:
                array.append(pixels)
        self.levels[: self.shape[-1]] += part.levels

    def _open(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.arrays = [Array(self.folder / "images.npy", shape)]
        if isinstance(self.block, PrepareTranslate):
            self.arrays.append(Array(self.folder / "targets.npy", (*shape[:2], 1)))
        for array in self.arrays:
            self.files.callback(array.file.close)

    def close(self, shape: tuple[int, ...]) -> bytes:
        """Write what is left, an empty split too, and give a hash over all of it."""
        if not self.shape:
            self._open(shape)
        elif self.shape != shape:
            raise Error(f"preprocess: the images of {self.block.dataset} differ between the splits: {self.shape}, {shape}")
        digest = hashlib.sha256(b"".join(array.close() for array in self.arrays))
        index = pd.DataFrame(self.rows, columns=["file", "width", "height", "label"])
        index = index.astype({"file": object, "width": np.int32, "height": np.int32})
        index = index.astype({"label": np.int64}) if isinstance(self.block, PrepareClassify) else index.drop(columns="label")
        frames = {"index": index}
        if isinstance(self.block, PrepareDetect):
            boxes = pd.DataFrame(self.boxes, columns=["image", "label", "x1", "y1", "x2", "y2", "difficult"])
            types = {"image": np.int64, "label": np.int64, "difficult": bool} | dict.fromkeys(
                ("x1", "y1", "x2", "y2"), np.float32
            )
            frames["boxes"] = boxes.astype(types)
        for name, frame in frames.items():
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
