"""A network as MLflow serves it: the model's folder names this module, and nothing is pickled.

Takes uint8 images (N, H, W, C), colour in RGB order. Returns probabilities, float32 (N, classes), images, uint8 (N, H, W, C'), or
detections, float32 (N, K, 6) (`models.boxes`).
The class names stand in the model's metadata.
"""

from pathlib import Path

import numpy as np
from scipy.special import softmax

from tasks.common import devices
from tasks.learning import training
from tasks.learning import weights as files


class ServedModel:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, weights: Path) -> None:
        self.device = devices.choose("auto")
        self.network, self.configuration = files.load(weights, self.device)

    def predict(self, model_input: np.ndarray) -> np.ndarray:
        outputs = training.predict(self.network, model_input, self.device, precision="fp32")
        if self.configuration.task == "classify":
            return np.asarray(softmax(outputs, axis=1), np.float32)
        if self.configuration.task == "detect":
            return outputs
        return training.to_bytes(outputs)


def _load_pyfunc(path: str) -> ServedModel:
    """The entry that MLflow looks for in a loader module."""
    return ServedModel(Path(path))
