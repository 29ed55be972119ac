"""What a classifier of faces knows of its own mistakes: measured on validation, kept with its weights."""

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tasks.faces.conditions import Conditions
from tasks.kinds.classify.metrics import ECE_BINS


class Calibration(BaseModel):
    """What stands in a card as `calibration`. Without one nothing is uncertain, blurred or small."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mirrored: bool = Field(False, description="logits are the mean over a face and its mirror image")
    temperature: float = Field(1.0, gt=0, description="what logits are divided by")
    threshold: float = Field(0.0, ge=0, le=1, description="below this probability the emotion is uncertain")
    coverage: float = Field(1.0, ge=0, le=1, description="share of the validation faces that the threshold leaves certain")
    blurred: float = Field(0.0, ge=0, description="below this sharpness a face is blurred")
    small: float = Field(0.0, ge=0, description="below so many pixels of its short side a face is small")
    conditions: Conditions | None = Field(None, description="what a face's size and detail change; None: nothing")

    def probabilities(self, logits: np.ndarray, measures: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (N, K) of faces by their logits (N, K) and what is measured of them (`conditions.measures`)."""
        cooled = logits / self.temperature
        own: np.ndarray = softmax(self.conditions.corrected(cooled, measures) if self.conditions else cooled, axis=1)
        return own.astype(np.float32)

    def thresholds(self, measures: np.ndarray) -> np.ndarray:
        """The probability from which on a face of such measures has an answer, (N,)."""
        return self.conditions.thresholds(measures) if self.conditions else np.full(len(measures), self.threshold)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which `logits` (N, K) / temperature have the least log loss for `labels` (N,); from 1/20 to 20.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """

    def loss(log_temperature: float) -> float:
        return log_loss(logits, labels, np.exp(log_temperature))

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded", options={"xatol": 1e-4}).x))


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The mean log loss of logits (N, K) / temperature for labels (N,), in nats."""
    rows = np.arange(len(labels))
    return float(-log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)[rows, labels].mean())


def threshold_for(confidence: np.ndarray, coverage: float) -> float:
    """The highest threshold that at least the share `coverage` of confidences (N,) reaches."""
    ordered = np.sort(np.asarray(confidence))[::-1]
    return float(ordered[max(0, int(np.ceil(coverage * len(ordered))) - 1)])


def accuracy_by_coverage(confidence: np.ndarray, correct: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Accuracy over the most confident share of the answers, for each of `shares` in (0, 1]."""
    order = np.argsort(-np.asarray(confidence), kind="stable")
    running = np.cumsum(np.asarray(correct)[order]) / np.arange(1, len(order) + 1)
    counts = np.maximum(1, np.ceil(np.asarray(shares) * len(order)).astype(int))
    return running[counts - 1]


def floor_of(measure: np.ndarray, correct: np.ndarray, accuracy: float) -> float:
    """The lowest value of `measure` (N,) from which on answers are right in the share `accuracy`, or `measure`'s highest.

    The share is an isotonic regression of `correct` (N,): it never falls with the measure. 0 where it is reached everywhere.
    """
    # Imported where it is used: it takes a second.
    from sklearn.isotonic import IsotonicRegression

    values = np.unique(measure)
    right = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(measure, np.asarray(correct, float)).predict(values)
    reached = np.flatnonzero(right >= accuracy)
    if not len(reached):
        return float(values[-1])
    return float(values[reached[0]]) if reached[0] else 0.0


def bins(confidence: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """A row for each of the 15 equal-width bins that is not empty: confidence (mean), accuracy, count."""
    index = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    table = pd.DataFrame({"bin": index, "confidence": confidence, "accuracy": correct, "count": 1})
    return table.groupby("bin").agg({"confidence": "mean", "accuracy": "mean", "count": "sum"}).reset_index()
