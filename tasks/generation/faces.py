"""Whether samples of faces are faces, as the detector says that git carries."""

from pathlib import Path

import numpy as np

import models
from tasks.faces.detector import Faces
from tasks.learning import weights
from tasks.params.face_settings import FindFaces

DETECTOR = Path(models.__path__[0]) / "weights" / "face.safetensors"


# The detector is shown a picture at twice its size, and not smaller than this: at 640 px, where it looks for small faces, it finds no large ones.
SMALLEST = 64


def share_found(pictures: np.ndarray) -> float:
    """The share of pictures, uint8 (N, H, W, 3), in which the detector finds a face, without a border around it."""
    chosen = {key: value for key, value in weights.card(DETECTOR).get("calibration", {}).items() if key in FindFaces.model_fields}
    faces = Faces.load(DETECTOR, FindFaces.model_validate({**chosen, "sizes": (max(SMALLEST, 2 * pictures.shape[1]),)}))
    return float(np.mean([len(boxes) > 0 for boxes in faces.detect([*pictures])]))
