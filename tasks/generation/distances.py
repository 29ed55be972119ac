"""Distances between two sets of features (N, D): Fréchet's, which FID is, and the kernel's, which KID is."""

import numpy as np
import torch
from torch import Tensor

from tasks.common.errors import Error

ROWS = 1000


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The Fréchet distance of two Gaussians with the features' means and covariances (Heusel et al. 2017, equation 6), in float64.

    The trace of the root of the covariances' product is the sum of the singular values of X Yᵀ, with X and Y the centred features; so no
    covariance is formed, and none has to be invertible. Raises Error for fewer than two rows, other widths, and values that are not finite.
    """
    x, y = _checked(first, second)
    difference = (x.mean(0) - y.mean(0)).square().sum()
    x, y = (_centred(features) for features in (x, y))
    common = torch.linalg.svdvals(x @ y.T).sum()
    return float(difference + x.square().sum() + y.square().sum() - 2 * common)


def kernel(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy under the kernel (xᵀy / D + 1)³ (Bińkowski et al. 2018), in float64.

    Of all rows at once, where implementations usually take the mean over random subsets. It may be below 0. Raises Error as `frechet`.
    """
    x, y = _checked(first, second)
    within = sum((_similarity(f, f) - _cubed(f.square().sum(1), f.shape[1]).sum()) / (len(f) * (len(f) - 1)) for f in (x, y))
    return float(within - 2 * _similarity(x, y) / (len(x) * len(y)))


def _checked(first: np.ndarray, second: np.ndarray) -> tuple[Tensor, Tensor]:
    """Both as float64 tensors, of which none is too short."""
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise Error(f"sets of features are (N, D) with N of 2 or more and one D, not {first.shape} and {second.shape}")
        if not np.isfinite(features).all():
            raise Error("features have values that are not finite: the images, or the network that looked at them, are damaged")
    return torch.from_numpy(first.astype(np.float64)), torch.from_numpy(second.astype(np.float64))


def _centred(features: Tensor) -> Tensor:
    """A matrix with at most D rows whose product with its transpose, from the left, is the features' covariance."""
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """The sum of the kernel over all pairs."""
    return torch.stack([_cubed(rows @ y.T, x.shape[1]).sum() for rows in x.split(ROWS)]).sum()


def _cubed(products: Tensor, width: int) -> Tensor:
    return (products / width + 1) ** 3
