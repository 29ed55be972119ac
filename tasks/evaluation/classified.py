"""What an evaluation of a classifier measures and writes: its metrics, the confusion of classes, and its surest mistakes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import nn

from tasks.datasets.data import Data, Info
from tasks.evaluation import figures, metrics
from tasks.learning import training
from tasks.params.experiment import Train

MAIN = "accuracy"


def measure(
    network: nn.Module, test: Data, info: Info, recipe: Train, device: torch.device, validated: Mapping[str, float]
) -> tuple[np.ndarray, dict[str, float]]:
    """Logits (N, classes) of a split, and their metrics; `accuracy_flip` of the mean with the mirrored images' if it trained on such."""
    logits = training.predict(network, test.images, device, precision=recipe.precision)
    scores = metrics.classify(logits, test.labels)
    if recipe.augment.flip:
        mirrored = training.predict(network, test.images[:, :, ::-1].copy(), device, precision=recipe.precision)
        scores["accuracy_flip"] = metrics.classify((logits + mirrored) / 2, test.labels)["accuracy"]
    return logits, scores


def write(test: Data, info: Info, logits: np.ndarray, validated: Mapping[str, float], plots: Path, predictions: Path) -> None:
    """Tables and figures into `plots`, each image's probabilities into `predictions`."""
    probabilities = softmax(logits.astype(np.float64), axis=1)
    predicted, labels = probabilities.argmax(1), test.labels
    table = pd.DataFrame(probabilities.astype(np.float32), columns=[f"p_{index}" for index in range(probabilities.shape[1])])
    table.insert(0, "label", labels)
    table.insert(1, "predicted", predicted)
    table.to_parquet(predictions / "predictions.parquet", index=False)
    metrics.per_class(predicted, labels, info.classes).to_csv(
        plots / "per_class.csv", index=False, float_format="%.4f", lineterminator="\n"
    )
    counts = metrics.confusion(predicted, labels, info.classes)
    long = counts.reset_index().melt("actual", value_name="count")
    long.to_csv(plots / "confusion.csv", index=False, lineterminator="\n")
    figures.save(figures.confusion(counts), plots / "confusion.png")
    figures.save(figures.confused(test.images, labels, probabilities, info.classes), plots / "confused.png")
