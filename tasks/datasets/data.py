"""Prepared data: `data/processed/<name>/`, written by `tasks.preprocess`, opened here without a copy.

    dataset.json                what it is and where it comes from (`Info`)
    skipped.csv                 columns file, kind (image, annotation, box), reason: what could not be used
    <split>/images.npy          uint8 (N, H, W, C); C is 1 or 3, colour in RGB order
    <split>/index.parquet       a row per image: file, width, height (of the original), and what the kind of task adds
    <split>/<name>.npy          an array (N, ...) that the kind of task adds, such as targets
    <split>/<name>.parquet      a table that the kind of task adds, such as boxes

Splits are folders so that a stage can depend on train and validation without depending on test.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

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
    task: str
    origin: str  # package, url or mirror:<hash>
    licence: str
    size: int  # pixels a side
    channels: int
    classes: tuple[str, ...]  # empty where the images have none
    counts: dict[str, int]  # images per split
    mean: tuple[float, ...]  # per channel over train, of pixels in [0, 1]
    std: tuple[float, ...]
    skipped: int  # files that did not decode
    hash: str  # SHA-256 over the arrays: the data's version
    settings: dict[str, object]  # the block of `preprocess` that made it
    extra: dict[str, int] = {}  # numbers that the kind of task adds, such as the words of a vocabulary

    def dump(self) -> dict[str, Any]:
        """What dataset.json holds."""
        return self.model_dump(mode="json", exclude=None if self.extra else {"extra"})


@dataclass(frozen=True)
class Data:
    """One split of a prepared data set; arrays are memory maps."""

    folder: Path
    split: Split

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 (N, H, W, C)"""
        return self.array("images")

    @cached_property
    def index(self) -> pd.DataFrame:
        """A row per image."""
        return self.table("index")

    def __len__(self) -> int:
        return len(self.images)

    def array(self, name: str) -> np.ndarray:
        """An array by its name (N, ...). Raises Error where nothing is prepared."""
        # Copy on write: torch wants arrays it may write to, and nothing is written to the file.
        return np.load(self._file(f"{name}.npy"), mmap_mode="c")

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name. Raises Error where nothing is prepared."""
        return pd.read_parquet(self._file(f"{name}.parquet"))

    def _file(self, name: str) -> Path:
        path = self.folder / self.split / name
        if not path.exists():
            raise Error(f"{path}: no such file; prepare the data first: dvc repro preprocess")
        return path


def info(folder: Path) -> Info:
    """Raises Error where nothing is prepared."""
    path = folder / "dataset.json"
    if not path.exists():
        raise Error(f"{path}: no such file; prepare the data first: dvc repro preprocess")
    return Info.model_validate_json(path.read_bytes())
