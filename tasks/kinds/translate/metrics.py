"""The numbers of pictures against their targets. PSNR and SSIM are means over images of 8-bit output with a data range of 255."""

import numpy as np
import pandas as pd

MAX_PSNR = 100.0
RANGE = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
# Images filtered at once: what is in flight stays within the processor's caches at 64 pixels.
SSIM_BATCH = 64


def translate(outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Means over images of `per_image`."""
    return {str(name): float(value) for name, value in per_image(outputs, targets).mean().items()}


def per_image(outputs: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """PSNR (dB, at most 100), SSIM and L1 (of pixels in [0, 1]) of each image, as columns psnr, ssim, l1.

    `outputs`, `targets`: uint8 (N, H, W, C) of 11 pixels a side or more. Raises ValueError for anything else.
    """
    if outputs.dtype != np.uint8 or targets.dtype != np.uint8:
        raise ValueError(f"outputs of {outputs.dtype} and targets of {targets.dtype} are not both uint8")
    if outputs.shape != targets.shape or outputs.ndim != 4 or not outputs.size:
        raise ValueError(f"outputs {outputs.shape} and targets {targets.shape} are not both (N, H, W, C)")
    if min(outputs.shape[1:3]) < SSIM_WINDOW:
        raise ValueError(f"images of {outputs.shape[1:3]} are smaller than the window of SSIM, {SSIM_WINDOW} pixels")
    batches = [slice(start, start + SSIM_BATCH) for start in range(0, len(outputs), SSIM_BATCH)]
    return pd.concat([_batch(outputs[b], targets[b]) for b in batches], ignore_index=True)


def _batch(outputs: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    x, y = (np.moveaxis(images, 3, 1).astype(np.float64) for images in (outputs, targets))  # (N, C, H, W)
    gap = np.abs(x - y)
    error = np.square(gap).mean((1, 2, 3))
    # Equal images have no error, and the cap as their PSNR.
    psnr = 10 * np.log10(RANGE**2 / np.maximum(error, RANGE**2 / 10 ** (MAX_PSNR / 10)))
    return pd.DataFrame({"psnr": psnr, "ssim": _ssim(x, y), "l1": gap.mean((1, 2, 3)) / RANGE})


def _ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Structural similarity (N,) of images (N, C, H, W), as scikit-image computes it, over the windows that lie wholly inside.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity".
    """
    rows, columns = _window(x.shape[2]), _window(x.shape[3]).T
    mean_x, mean_y, xx, yy, xy = (rows @ image @ columns for image in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    similarity = (2 * product + c1) * (2 * (xy - product) + c2) / ((squares + c1) * (xx + yy - squares + c2))
    return similarity.mean((1, 2, 3))


def _window(size: int) -> np.ndarray:
    """The Gaussian window at each place where it fits, as a banded matrix (size - 10, size).

    A product with it is several times faster than a convolution at the sizes of our images.
    """
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    matrix = np.zeros((size - SSIM_WINDOW + 1, size))
    for row in range(len(matrix)):
        matrix[row, row : row + SSIM_WINDOW] = weights / weights.sum()
    return matrix
