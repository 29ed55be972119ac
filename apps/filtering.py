"""A photograph through an analytic filter and through a network that learned one, with the numbers that compare both."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from apps.networks import Choice
from tasks.imaging.images import as_channels
from tasks.imaging.tiles import filter_image
from tasks.kinds.translate import Target, filters, metrics

TILE = 128  # pixels a side: SSIM's cost grows with the side of what it is given at once
DIFFERENCE_GAIN = 4

FILTERS: dict[str, tuple[Literal["sobel", "random"], Literal["fixed", "per-image"]]] = {
    "Sobel, fixed scale": ("sobel", "fixed"),
    "Sobel, scaled per image": ("sobel", "per-image"),
    "Random 3x3, fixed scale": ("random", "fixed"),
    "Random 3x3, scaled per image": ("random", "per-image"),
}


def filter_label(target: Target) -> str:
    """What the page calls a filter."""
    return next(label for label, value in FILTERS.items() if value == (target.filter, target.scale))


@dataclass(frozen=True)
class Filtered:
    """A photograph, uint8 (H, W, 3), and what filter and network make of it, uint8 (H, W, 1)."""

    photograph: np.ndarray
    target: np.ndarray
    output: np.ndarray
    filter_seconds: float
    network_seconds: float

    @cached_property
    def scores(self) -> dict[str, float]:
        return measure(self.output, self.target)

    @cached_property
    def difference(self) -> np.ndarray:
        """uint8 (H, W, 3): black where output and target agree, yellow at 64 grey levels or more."""
        gap = cv2.absdiff(self.output, self.target)
        return cv2.applyColorMap(cv2.convertScaleAbs(gap, alpha=DIFFERENCE_GAIN), cv2.COLORMAP_INFERNO)[..., ::-1]

    def png(self) -> bytes:
        """The output at full size."""
        return cv2.imencode(".png", self.output)[1].tobytes()


def apply(choice: Choice, photograph: np.ndarray, target: Target) -> Filtered:
    """Filter a photograph, uint8 (H, W, 3), both ways. Raises Error for weights that are gone or not ours."""
    network, configuration = choice.load()
    start = time.perf_counter()
    wanted = filters.target(photograph, target)
    between = time.perf_counter()
    output = filter_image(network, as_channels(photograph, configuration.inputs))
    return Filtered(photograph, wanted, output, between - start, time.perf_counter() - between)


def measure(output: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """psnr, ssim and l1 of `metrics.translate` for one image, uint8 (H, W, C), of any size.

    In tiles that overlap by what SSIM's window needs, so that each window is counted once, in bounded memory.
    """
    height, width = output.shape[:2]
    step = TILE - metrics.SSIM_WINDOW + 1
    windows = similarity = squares = gaps = 0.0
    for top in range(0, height - metrics.SSIM_WINDOW + 1, step):
        for left in range(0, width - metrics.SSIM_WINDOW + 1, step):
            tile = np.s_[top : top + TILE, left : left + TILE]
            a, b = output[tile], target[tile]
            count = (a.shape[0] - metrics.SSIM_WINDOW + 1) * (a.shape[1] - metrics.SSIM_WINDOW + 1)
            similarity += count * metrics.translate(a[None], b[None])["ssim"]
            windows += count
    for top in range(0, height, TILE):
        gap = cv2.absdiff(output[top : top + TILE], target[top : top + TILE]).astype(np.float64)
        squares += float(np.square(gap).sum())
        gaps += float(gap.sum())
    mean = squares / output.size
    psnr = min(metrics.MAX_PSNR, 10 * np.log10(metrics.RANGE**2 / mean)) if mean else metrics.MAX_PSNR
    return {"psnr": float(psnr), "ssim": similarity / windows, "l1": gaps / output.size / metrics.RANGE}
