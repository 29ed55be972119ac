"""The numbers of codecs: PSNR and MS-SSIM of pictures, and Bjøntegaard's comparison of two curves of bits and quality."""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

MAX_PSNR = 100.0
# Wang et al. 2003, "Multi-Scale Structural Similarity for Image Quality Assessment".
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
# Bits a pixel of the codec that is compared with, between which curves are compared.
RATES = (0.2, 1.0)


def psnr(picture: np.ndarray, original: np.ndarray) -> float:
    """Decibels, at most 100, of uint8 pictures of the same shape."""
    return decibels(float(np.square(picture.astype(np.float32) - original).mean()))


def decibels(error: float) -> float:
    """PSNR of a mean squared error in grey levels."""
    return float(min(MAX_PSNR, 10 * np.log10(255**2 / max(error, 1e-12))))


def ms_ssim(picture: np.ndarray, original: np.ndarray) -> float:
    """Multi-scale structural similarity of uint8 pictures (H, W, C), the mean over channels.

    Five scales with a window of 11 pixels need 176 pixels a side; a smaller picture has as many as fit, with the weights of those. Raises
    ValueError below 11 pixels a side.
    """
    x: np.ndarray = picture.astype(np.float32)
    y: np.ndarray = original.astype(np.float32)
    scales = min(len(WEIGHTS), 1 + int(np.log2(min(x.shape[:2]) / WINDOW))) if min(x.shape[:2]) >= WINDOW else 0
    if not scales:
        raise ValueError(f"pictures of {x.shape[:2]} are smaller than the window of {WINDOW} pixels")
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    result = np.ones(x.shape[2])
    for scale, weight in enumerate(weights):
        similarity, contrast = _ssim(x, y)
        result *= np.maximum(similarity if scale == scales - 1 else contrast, 0) ** weight
        x, y = _half(x), _half(y)
    return float(result.mean())


def _half(image: np.ndarray) -> np.ndarray:
    """Means of two by two pixels; an odd last row or column is left out."""
    height, width, channels = image.shape
    image = image[: height // 2 * 2, : width // 2 * 2]
    return cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA).reshape(height // 2, width // 2, channels)


def _ssim(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structural similarity and its part of contrast, of each channel, over the windows that lie wholly inside."""
    edge = WINDOW // 2

    def mean(image: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA).reshape(image.shape)
        return blurred[edge : image.shape[0] - edge, edge : image.shape[1] - edge]

    mean_x, mean_y = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2, mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    contrast = (2 * xy + c2) / (xx + yy + c2)
    similarity = contrast * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return similarity.mean((0, 1)), contrast.mean((0, 1))


def bd_rate(
    ours: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]], rates: tuple[float, float] = RATES
) -> float | None:
    """How many bits ours takes more than the other at the same PSNR, as a share; negative is fewer (Bjøntegaard 2001).

    Curves are points (bits a pixel, dB). The mean over the decibels at which the other has so many bits a pixel (`rates`) and both curves have
    points, of the difference of the logarithms of bits, which are interpolated monotonically. None where there are no such decibels.
    """
    first, second = _rising(ours), _rising(other)
    if min(len(first), len(second)) < 2:
        return None
    rate = np.log(second[:, 0])
    quality = PchipInterpolator(rate, second[:, 1])
    least, most = (float(quality(np.clip(np.log(bits), rate[0], rate[-1]))) for bits in rates)
    low, high = max(least, first[0, 1]), min(most, first[-1, 1])
    if high - low < 0.1:
        return None
    mine, theirs = (PchipInterpolator(curve[:, 1], np.log(curve[:, 0])).integrate(low, high) for curve in (first, second))
    return float(np.exp((mine - theirs) / (high - low)) - 1)


def _rising(curve: Sequence[tuple[float, float]]) -> np.ndarray:
    """Points in the order of their bits, without those that are no better than one of fewer bits: (N, 2)."""
    kept: list[tuple[float, float]] = []
    for bits, quality in sorted(curve):
        if not kept or (quality > kept[-1][1] and bits > kept[-1][0]):
            kept.append((bits, quality))
    return np.array(kept).reshape(-1, 2)
