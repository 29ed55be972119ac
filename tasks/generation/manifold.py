"""Precision and recall of generated samples by their manifolds (Kynkäänniemi et al. 2019)."""

import numpy as np
import torch
from torch import Tensor

from tasks.common.errors import Error

ROWS = 1000


def manifold(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Precision, the share of fake features within the manifold of real ones, and recall, the share of real ones within that of fake ones.

    A manifold is the union of balls around each feature (N, D) that reach to its k-th nearest neighbour in its set (equations 1 and 2).
    Raises Error for sets of k rows or fewer, and for values that are not finite.
    """
    for features in (real, fake):
        if features.ndim != 2 or len(features) <= k or not np.isfinite(features).all():
            raise Error(f"a manifold takes more than {k} features (N, D), all finite; these are {features.shape}")
    x, y = (torch.from_numpy(features.astype(np.float64)) for features in (real, fake))
    return _inside(y, x, k), _inside(x, y, k)


def _inside(points: Tensor, centres: Tensor, k: int) -> float:
    """The share of points that lie in a ball."""
    radii = torch.cat([_squared(rows, centres).kthvalue(k + 1).values for rows in centres.split(ROWS)])
    return float(torch.cat([(_squared(rows, centres) <= radii).any(1) for rows in points.split(ROWS)]).double().mean())


def _squared(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of all pairs (N, M). A point's own, the least of its row, may come out as a trifle below 0."""
    return x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
