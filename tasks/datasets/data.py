"""Prepared data: `data/processed/<name>/`, written by `tasks.preprocess`, opened here without a copy.

    dataset.json                what it is and where it comes from (`Info`)
    skipped.csv                 columns file, kind (image, annotation, box), reason: what could not be used
    <split>/images.npy          uint8 (N, H, W, C); C is 1 or 3, colour in RGB order
    <split>/targets.npy         translate: uint8 (N, H, W, 1)
    <split>/index.parquet       a row per image: file, width, height (of the original), and label (int) for classify
    <split>/boxes.parquet       detect: image (row number), label, x1, y1, x2, y2 (pixels of images.npy), difficult

Splits are folders so that a stage can depend on train and validation without depending on test.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from tasks.common.errors import Error

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Info(BaseModel):
    """dataset.json: what a prepared data set is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str
    task: Literal["classify", "translate", "detect"]
    origin: str  # package, url or mirror:<hash>
    licence: str
    size: int  # pixels a side
    channels: int
    classes: tuple[str, ...]  # empty for translate
    counts: dict[str, int]  # images per split
    mean: tuple[float, ...]  # per channel over train, of pixels in [0, 1]
    std: tuple[float, ...]
    skipped: int  # files that did not decode
    hash: str  # SHA-256 over the arrays: the data's version
    settings: dict[str, object]  # the block of `preprocess` that made it

    @property
    def outputs(self) -> int:
        """Classes, or channels of the target."""
        return len(self.classes) if self.classes else 1


@dataclass(frozen=True)
class Data:
    """One split of a prepared data set; arrays are memory maps."""

    folder: Path
    split: Split

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 (N, H, W, C)"""
        return self._array("images.npy")

    @cached_property
    def targets(self) -> np.ndarray:
        """uint8 (N, H, W, 1)"""
        return self._array("targets.npy")

    @cached_property
    def index(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / self.split / "index.parquet")

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,)"""
        return self.index["label"].to_numpy(np.int64, copy=True)

    @cached_property
    def boxes(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / self.split / "boxes.parquet")

    def __len__(self) -> int:
        return len(self.images)

    def _array(self, file: str) -> np.ndarray:
        path = self.folder / self.split / file
        if not path.exists():
            raise Error(f"{path}: no such file; prepare the data first: dvc repro preprocess")
        # Copy on write: torch wants arrays it may write to, and nothing is written to the file.
        return np.load(path, mmap_mode="c")


def info(folder: Path) -> Info:
    """Raises Error where nothing is prepared."""
    path = folder / "dataset.json"
    if not path.exists():
        raise Error(f"{path}: no such file; prepare the data first: dvc repro preprocess")
    return Info.model_validate_json(path.read_bytes())
