"""The filters that the image-to-image networks learn, and how they are scaled to bytes.

Grey with the standard luma weights (0.299, 0.587, 0.114 on RGB), a Gaussian blur of sigma 1.3 (cut off at four sigma, as in
scipy), then the magnitude of the 3x3 Sobel gradients, or of a random 3x3 filter's response. All in float32, rounded at the end.
Borders reflect with the edge pixel repeated (b a | a b c): `mode="reflect"` in scipy, `BORDER_REFLECT` in OpenCV.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from tasks.kinds.translate import Target

SIGMA = 1.3
RADIUS = int(4 * SIGMA + 0.5)
# Grey levels of the target for each of |Sobel| (weights 1 2 1, not normalised). A blurred step from black to white has about 570
# of them: only steps of more than 90 % of the range are clipped, some 0.004 % of the pixels of photographs at 64 px.
SOBEL_GAIN = 0.5
# Per-image scale: a range of |Sobel| below this is rounding noise of a flat image, which stays black.
FLAT = 0.5
# Images that go through OpenCV in one call: large enough to hide the calls, small enough for the cache.
BLOCK = 16


def target(images: np.ndarray, spec: Target) -> np.ndarray:
    """Filter images: uint8 (N, H, W, C) or (H, W, C), C 1 or 3 in RGB order, to uint8 of the same shape with one channel.

    `fixed` multiplies by a constant and clips at 255; `per-image` stretches each image's least and
    greatest magnitude to 0 and 255. Raises ValueError for other shapes or types.
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[-1] not in (1, 3):
        raise ValueError(f"images must be uint8 (N, H, W, C) or (H, W, C) with C 1 or 3, not {images.dtype} {images.shape}")
    if images.ndim == 3:
        return target(images[None], spec)[0]
    if not images.size:
        return np.zeros((*images.shape[:3], 1), np.uint8)
    blocks = [images[i : i + BLOCK] for i in range(0, len(images), BLOCK)]
    return np.concatenate(list(_parallel(blocks, spec)))[..., None]


def _parallel(blocks: list[np.ndarray], spec: Target) -> Iterable[np.ndarray]:
    if len(blocks) == 1:
        return [_filter(blocks[0], spec)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda block: _filter(block, spec), blocks))


def random_kernel(seed: int) -> np.ndarray:
    """A 3x3 filter, float32: weights uniform in -3 to 3, shifted so that their sum is 1 and the picture keeps its brightness."""
    weights = np.random.default_rng(seed).uniform(-3, 3, (3, 3))
    return (weights + (1 - weights.sum()) / 9).astype(np.float32)


def _filter(images_NHWC: np.ndarray, spec: Target) -> np.ndarray:
    """uint8 (N, H, W, C) to uint8 (N, H, W)."""
    n, height, width, channels = images_NHWC.shape
    rows = images_NHWC.reshape(n * height, width, channels).astype(np.float32)
    grey: np.ndarray = cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY) if channels == 3 else rows
    # One tall image, each with rows of its own reflection around it: every step is one call for the block. A reflected image,
    # blurred with symmetric weights, is the reflection of the blurred image: the second filter needs no border of its own.
    border = RADIUS + 1
    tall = np.pad(grey.reshape(n, height, width), ((0, 0), (border, border), (0, 0)), mode="symmetric").reshape(-1, width)
    x = np.arange(-RADIUS, RADIUS + 1)
    gauss = np.exp(-0.5 * (x / SIGMA) ** 2)
    gauss = (gauss / gauss.sum()).astype(np.float32)
    blurred = cv2.sepFilter2D(tall, cv2.CV_32F, gauss, gauss, borderType=cv2.BORDER_REFLECT)
    if spec.filter == "sobel":
        gx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REFLECT)
        gy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REFLECT)
        magnitude, gain = cv2.magnitude(gx, gy), SOBEL_GAIN
    else:
        response = cv2.filter2D(blurred, cv2.CV_32F, random_kernel(spec.seed), borderType=cv2.BORDER_REFLECT)
        magnitude, gain = np.abs(response), 1.0
    magnitude = magnitude.reshape(n, height + 2 * border, width)[:, border : border + height]
    if spec.scale == "per-image":
        low = magnitude.min(axis=(1, 2), keepdims=True)
        span = magnitude.max(axis=(1, 2), keepdims=True) - low
        magnitude = np.where(span < FLAT, 0, (magnitude - low) * (255 / np.maximum(span, FLAT)))
    else:
        magnitude = magnitude * np.float32(gain)
    return np.clip(np.rint(magnitude), 0, 255).astype(np.uint8)
