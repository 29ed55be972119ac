"""Rounding that weighs what a value costs: the nearest integer, or its neighbour where that saves more bits than its error is worth.

Nothing in a file says how it was chosen, and a decoder need not know: what JPEG's and video's encoders do as trellis quantisation.
"""

import numpy as np
from scipy.special import expit

from models.coefficients import LEAST, NARROW, WIDE
from models.fixed import FRACTION
from tasks.codec.coder import LARGEST

# How much a bit that is saved counts: contexts and the synthesis have learned from nearest integers. Chosen on validation.
EAGER = 0.3


def rounded(exact: np.ndarray, means: np.ndarray, scales: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Integers for exact values, float (C, N).

    `means`, `scales`: of their distributions, as `coder.tables` takes them, of the same shape. `costs`: what a squared error of 1 is
    worth in bits, (C,).
    """
    nearest = np.rint(exact)
    mean = means / np.float32(1 << FRACTION)
    other = nearest + np.where(exact > nearest, 1, -1)
    # One that lies further from the mean saves nothing.
    rows, places = np.nonzero(np.abs(other - mean) < np.abs(nearest - mean))
    value, first, second = exact[rows, places], nearest[rows, places], other[rows, places]
    narrow = np.exp2(-np.clip(scales[rows, places] / np.float32(1 << FRACTION), NARROW, WIDE))
    centre = mean[rows, places]
    saved = _bits(first - centre, narrow) - _bits(second - centre, narrow)
    worse = costs[rows] * (np.square(value - second) - np.square(value - first))
    taken = worse < EAGER * saved
    nearest[rows[taken], places[taken]] = second[taken]
    return np.clip(nearest, -LARGEST, LARGEST)


def _bits(distance: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    distance = np.abs(distance)
    share = expit((0.5 - distance) * narrow) - expit((-0.5 - distance) * narrow)
    found: np.ndarray = -np.log2(np.maximum(share, LEAST))
    return found
