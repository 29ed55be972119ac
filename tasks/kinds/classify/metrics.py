"""The numbers of a classifier's result: from logits and labels to names and values, and tables of classes.

Shares are fractions from 0 to 1.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from tasks.common.errors import Error

ECE_BINS = 15


def classify(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, macro F1, log loss (natural logarithm) and expected calibration error of `logits` (N, K) for `labels` (N,).

    Macro F1 is the mean over the classes that occur, among the labels or the predictions. Raises Error for outputs that are
    not finite, ValueError for shapes or labels that do not fit.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not labels.size:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} are not (N, K) and (N,) with N of 1 or more")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} do not fit {logits.shape[1]} classes")
    if not np.isfinite(logits).all():
        raise Error("the network's outputs are not finite: the training diverged; lower its learning rate, or set `clip`")
    predicted = logits.argmax(1)
    logs = log_softmax(logits, axis=1)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": macro_f1(predicted, labels, logits.shape[1]),
        "log_loss": float(-logs[np.arange(len(labels)), labels].mean()),
        "ece": calibration_error(np.exp(logs.max(1)), predicted == labels),
    }


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Expected calibration error: the mean gap between confidence (N,) and share of `correct` (N,), over 15 equal-width bins.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". A confidence of exactly 1 is in the last bin (torchmetrics
    gives it a bin of its own).
    """
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    # Weighted by the share of the images in a bin, the gap of means is the gap of sums over N.
    return float(np.abs(np.bincount(bins, confidence - correct)).sum() / len(confidence))


def counts(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How many of each actual class (a row) were predicted as each class (a column), int (K, K)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def scores(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class of a table of `counts`, each (K,); 0 where there is nothing to divide by."""
    right, predicted, actual = table.diagonal(), table.sum(0), table.sum(1)
    ratios = [(right, predicted), (right, actual), (2 * right, predicted + actual)]
    precision, recall, f1 = (np.where(below > 0, above / np.maximum(below, 1), 0.0) for above, below in ratios)
    return precision, recall, f1


def macro_f1(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """The mean F1 over the classes that occur, among the labels or the predictions."""
    table = counts(predicted, labels, classes)
    there = table.sum(0) + table.sum(1) > 0
    return float(scores(table)[2][there].mean())


def per_class(predicted: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """A row a class: class, precision, recall, f1, support; 0 where nothing was predicted or nothing is there."""
    table = counts(predicted, labels, len(classes))
    precision, recall, f1 = scores(table)
    return pd.DataFrame({"class": list(classes), "precision": precision, "recall": recall, "f1": f1, "support": table.sum(1)})


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Counts of images (K, K): a row an actual class, a column a predicted one."""
    names = list(classes)
    table = counts(predicted, labels, len(names))
    return pd.DataFrame(table, pd.Index(names, name="actual"), pd.Index(names, name="predicted"))
