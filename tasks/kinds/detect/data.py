"""Detection's prepared data as tensors, and the networks' shape.

As tensors boxes are float (N, M, 6): x1, y1, x2, y2 (pixels), class, difficult; an image's rows that are none have class -1.
"""

import numpy as np
import pandas as pd
from torch import Tensor

from models import Shape
from tasks.datasets.data import Data, Info
from tasks.kinds.detect.detections import CORNERS

COLUMNS = [*CORNERS, "label", "difficult"]


def boxes(data: Data) -> pd.DataFrame:
    """The table of a split's boxes."""
    return data.table("boxes")


def examples(data: Data) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, H, W, C), and `targets`, float32 (N, M, 6), M that of the image with the most boxes."""
    table = boxes(data).sort_values("image", kind="stable")
    image = table["image"].to_numpy()
    place = np.arange(len(table)) - np.searchsorted(image, image)
    padded = np.zeros((len(data), max(1, place.max(initial=0) + 1), len(COLUMNS)), np.float32)
    padded[..., 4] = -1
    padded[image, place] = table[COLUMNS].to_numpy(np.float32)
    return {"images": data.images, "targets": padded}


def objects(padded: Tensor) -> pd.DataFrame:
    """The table (`boxes`) that boxes (N, M, 6) were made of."""
    padded = padded.cpu()
    image, place = (padded[..., 4] >= 0).nonzero(as_tuple=True)
    table = pd.DataFrame(padded[image, place].numpy(), columns=COLUMNS)
    table.insert(0, "image", image.numpy())
    return table.astype({"label": np.int64, "difficult": bool})


def shape(info: Info) -> Shape:
    """As many classes as the data have."""
    return Shape(info.channels, len(info.classes), info.size)
