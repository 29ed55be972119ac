"""What an evaluation of an image-to-image network measures and writes: its metrics, each image's, and a strip chosen by rule."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tasks.common.errors import Error
from tasks.datasets.data import Data, Info
from tasks.evaluation import figures, metrics
from tasks.learning import training
from tasks.params.experiment import Train

MAIN = "psnr"
# The pictures that are shown stand here in the order of their PSNR: chosen by rule, not by eye.
SHOWN = {"best": 1.0, "upper quartile": 0.75, "median": 0.5, "lower quartile": 0.25, "worst": 0.0}


def measure(
    network: nn.Module, test: Data, info: Info, recipe: Train, device: torch.device, validated: Mapping[str, float]
) -> tuple[np.ndarray, dict[str, float]]:
    """Outputs uint8 (N, H, W, C) of a split, and their metrics. Raises Error for a training that diverged."""
    outputs = training.predict(network, test.images, device, precision=recipe.precision)
    if not np.isfinite(outputs).all():
        raise Error("its outputs are not finite: the training diverged; lower its learning rate, or set `clip`")
    outputs = training.to_bytes(outputs)
    return outputs, metrics.translate(outputs, test.targets)


def write(test: Data, info: Info, outputs: np.ndarray, validated: Mapping[str, float], plots: Path, predictions: Path) -> None:
    """Tables and figures into `plots`, the outputs into `predictions`."""
    np.save(predictions / "outputs.npy", outputs)
    table = metrics.per_image(outputs, test.targets)
    table.to_csv(plots / "per_image.csv", index_label="image", float_format="%.4f", lineterminator="\n")
    order = np.argsort(table["psnr"].to_numpy(), kind="stable")
    shown = [order[round(share * (len(order) - 1))] for share in SHOWN.values()]
    titles = [f"{words}\n{table['psnr'][index]:.1f} dB" for words, index in zip(SHOWN, shown)]
    figures.save(figures.strip(test.images[shown], test.targets[shown], outputs[shown], titles), plots / "strip.png")
