"""Which part of prepared photographs is looked at: all of it, or the middle square of what is no padding.

Detectors' photographs are squares whose right or lower part is grey (`tasks.imaging.images.fit`).
"""

from typing import Literal

import numpy as np
import pandas as pd

from tasks.datasets.data import Data, Info
from tasks.imaging.images import center_square
from tasks.inside import DETECTION
from tasks.kinds.detect.detections import CORNERS

Frame = Literal["whole", "middle"]


def extents(data: Data, info: Info) -> np.ndarray:
    """Heights and widths (N, 2) in pixels of the photographs within their images."""
    if info.task != DETECTION:
        return np.full((len(data), 2), data.images.shape[1:3])
    sizes = data.index[["height", "width"]].to_numpy()
    return np.maximum(1, np.round(sizes * (data.images.shape[1] / sizes.max(1, keepdims=True)))).astype(int)


def middles(images: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The middle squares of the photographs, of `sizes` (`extents`), as large as their images were: uint8 (N, H, W, C)."""
    return np.stack([center_square(image[:height, :width], len(image)) for image, (height, width) in zip(images, sizes)])


def in_middles(boxes: pd.DataFrame, sizes: np.ndarray, side: int) -> pd.DataFrame:
    """Boxes in these squares of `side` pixels, cut at the edges; a row is of the photograph `image`. Those whose own middle is outside are left out."""
    height, width = sizes[boxes["image"].to_numpy()].T
    short = np.minimum(height, width)
    corner = np.stack([(width - short) // 2, (height - short) // 2] * 2, 1)
    moved = (boxes[CORNERS].to_numpy() - corner) * (side / short)[:, None]
    middle = (moved[:, :2] + moved[:, 2:]) / 2
    found = boxes.assign(**dict(zip(CORNERS, moved.clip(0, side).T)))
    return found[((middle >= 0) & (middle <= side)).all(1)]
