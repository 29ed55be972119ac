"""What a kind of task is given to measure a trained network, and where it writes what it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tasks.datasets.data import Data, Info
from tasks.learning.tensors import predict
from tasks.learning.weights import Configuration


@dataclass(frozen=True)
class Test:
    """A trained network and the split that it is measured on.

    `recipe`: the experiment's; `precision`: bf16 or fp32; `validated`: the metrics of validation, means over seeds; `judge`: the
    network that the experiment's `judge` names, and its configuration; `first`: whether this is the experiment's first seed.
    """

    __test__ = False  # no test of pytest's

    network: nn.Module
    configuration: Configuration
    data: Data
    info: Info
    recipe: Any
    precision: str
    device: torch.device
    validated: Mapping[str, float]
    judge: tuple[nn.Module, Configuration] | None = None
    first: bool = True

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The network's outputs for uint8 images (N, H, W, C), float32."""
        return predict(self.network, images, self.device, precision=self.precision)


@dataclass(frozen=True)
class Out:
    """Folders: `plots` for figures, `tables` for what git keeps, `predictions` for what is large."""

    plots: Path
    tables: Path
    predictions: Path

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as CSV; equal tables give equal files."""
        frame.to_csv(self.tables / f"{name}.csv", index=False, float_format="%.4f", lineterminator="\n")
