"""What a face's size and detail do to a network's answers: fitted on validation's faces, shrunk and blurred, and kept with the weights."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

SIZE = 48
# The standard deviation, in pixels, of the Gaussian that a face is blurred by once more; and the variance of what rounding to bytes adds.
AGAIN, ROUNDING = 1.0, 5.0
# Beyond these sides (pixels) and this detail a face counts as one at the end of the range: nothing was measured there.
SIDES, DETAILS = (12.0, 48.0), (0.1, 3.3)
# Of polynomials of degree 3. Weights that were promoted before have the first six, those of degree 2.
TERMS = 10
RIDGE = 1e-5
# Groups of faces of equal readability that a threshold is chosen for each, and the least share of one that must get an answer.
GROUPS, LEAST = 24, 0.12
NONE = 2.0  # no probability reaches it

Coefficients = tuple[float, ...]


class Conditions(BaseModel):
    """Functions of a face's side and detail, polynomials (`terms`), and from which readability on there is an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: tuple[Coefficients, ...] = Field(description="of the logarithm of what each class's logit is multiplied by")
    bias: tuple[Coefficients, ...] = Field(description="of what is then added to it")
    accuracy: Coefficients = Field(description="of the log odds that the answer is right: a face's readability")
    readability: tuple[float, ...] = Field((1.0,), description="ascending; below the first there is no answer")
    threshold: tuple[float, ...] = Field(
        (NONE,), description="at each of these, the probability from which on there is an answer"
    )

    def corrected(self, logits: np.ndarray, measures: np.ndarray) -> np.ndarray:
        """Logits (N, K) of faces of such `measures` (N, 2), as they would have to be for their softmax to be right."""
        known = terms(measures)[:, : len(self.accuracy)]
        corrected: np.ndarray = logits * np.exp(known @ np.array(self.scale).T) + known @ np.array(self.bias).T
        return corrected

    def readable(self, measures: np.ndarray) -> np.ndarray:
        """The share of the answers for such faces (N, 2) that is right, (N,), whatever their probability."""
        share: np.ndarray = expit(terms(measures)[:, : len(self.accuracy)] @ np.array(self.accuracy))
        return share

    def thresholds(self, measures: np.ndarray) -> np.ndarray:
        """The least probability of an answer for such faces (N, 2), (N,); above 1 where there is none."""
        return interpolated(self.readable(measures), self.readability, self.threshold)


def detail(face: np.ndarray) -> float:
    """What a face, uint8 (H, W, 3) in RGB order or (H, W), loses by being blurred again: low where it is blurred, at any contrast.

    The logarithm of a ratio of variances of the Laplacian, before and after; larger faces are reduced to 48 pixels first. Crété et al. 2007,
    "The blur effect: perception and estimation with a new no-reference perceptual blur metric", compare a picture with itself likewise.
    """
    grey: np.ndarray = (cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) if face.ndim == 3 else face).astype(np.float32)
    if (factor := SIZE / max(grey.shape)) < 1:
        grey = cv2.resize(grey, [max(1, round(side * factor)) for side in grey.shape[::-1]], interpolation=cv2.INTER_AREA)
    own, less = (
        float(cv2.Laplacian(image, cv2.CV_32F).var()) + ROUNDING for image in (grey, cv2.GaussianBlur(grey, (0, 0), AGAIN))
    )
    return float(np.log(own / less))


def measures(faces: Sequence[np.ndarray]) -> np.ndarray:
    """Side (pixels of the longer one, which is what the network's 48 are made of) and detail of faces, float64 (N, 2)."""
    return np.array([(max(face.shape[:2]), detail(face)) for face in faces], np.float64).reshape(-1, 2)


def terms(measures: np.ndarray) -> np.ndarray:
    """1 and the powers and products of degree 1 to 3 of both measures (N, 2), scaled to about -1 to 1, (N, 10)."""
    side = np.log2(np.clip(measures[:, 0], *SIDES) / SIZE) + 1
    fine = np.clip(measures[:, 1], *DETAILS) / 1.6 - 1
    squares, cubes = [side**2, side * fine, fine**2], [side**3, side**2 * fine, side * fine**2, fine**3]
    return np.stack([np.ones_like(side), side, fine, *squares, *cubes], 1)


def fit(logits: np.ndarray, seen: np.ndarray, labels: np.ndarray) -> Conditions:
    """The conditions under which logits (N, K) of faces with measures `seen` (N, 2) have the least log loss for `labels` (N,), without answers.

    Vector scaling (Guo et al. 2017, section 4.2) whose factors depend on the face.
    """
    logits, known = np.asarray(logits, np.float64), terms(seen)
    scale, bias = _scaling(logits, known, labels)
    corrected = logits * np.exp(known @ scale.T) + known @ bias.T
    accuracy = _logistic(known, corrected.argmax(1) == labels)
    return Conditions(
        scale=tuple(map(tuple, scale.tolist())), bias=tuple(map(tuple, bias.tolist())), accuracy=tuple(accuracy.tolist())
    )


def choose(table: pd.DataFrame, answers: float, least: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Readabilities, ascending, and the threshold at each, falling, from which on answers are right in the share `answers`.

    `table`: a row a face: readability, confidence, correct. A threshold, none of which is below `least`, is chosen for each group of equal
    readability, from the best down to the first in which fewer than one in eight faces would get an answer.
    """
    ordered = table.sort_values("readability", kind="stable")
    knots: list[float] = []
    thresholds: list[float] = []
    for rows in np.array_split(np.arange(len(ordered)), GROUPS)[::-1]:
        group = ordered.iloc[rows].sort_values("confidence", ascending=False, kind="stable")
        counts = np.arange(1, len(group) + 1)
        right = group["correct"].cumsum() / counts
        enough = np.flatnonzero((right >= answers) & (group["confidence"] >= least) & (counts >= LEAST * len(group)))
        if not len(enough):
            break
        # What can be read less never has a lower threshold.
        least = max(least, float(group["confidence"].iloc[enough[-1]]))
        knots.insert(0, float(group["readability"].median()))
        thresholds.insert(0, least)
    return tuple(knots) or (1.0,), tuple(thresholds) or (NONE,)


def interpolated(readability: Any, knots: Sequence[float], thresholds: Sequence[float]) -> np.ndarray:
    """The threshold at each readability (N,), (N,); above 1 below the first of `knots`."""
    return np.where(readability >= knots[0], np.interp(readability, knots, thresholds), NONE)


def _scaling(logits: np.ndarray, known: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (K, 10) of the scales' logarithms and of the biases."""
    count, classes = logits.shape
    rows = np.arange(count)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = flat.reshape(2, classes, TERMS)
        scaled = logits * np.exp(known @ scale.T)
        logs = log_softmax(scaled + known @ bias.T, axis=1)
        slope = np.exp(logs)
        slope[rows, labels] -= 1
        gradient = np.stack([(slope * scaled).T @ known, slope.T @ known]) / count
        value = -logs[rows, labels].mean() + RIDGE * (flat**2).sum()
        return float(value), gradient.ravel() + 2 * RIDGE * flat

    found = minimize(loss, np.zeros(2 * classes * TERMS), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    scale, bias = found.x.reshape(2, classes, TERMS)
    return scale, bias


def _logistic(known: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Coefficients (10,) of the log odds of `correct` (N,)."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = known @ weights
        value = np.logaddexp(0, odds).mean() - odds[correct].sum() / len(odds)
        return float(value + RIDGE * (weights**2).sum()), known.T @ (expit(odds) - correct) / len(odds) + 2 * RIDGE * weights

    weights: np.ndarray = minimize(loss, np.zeros(TERMS), jac=True, method="L-BFGS-B").x
    return weights
