"""A network as MLflow serves it. MLflow keeps this file and runs it to load a model, so nothing is pickled.

Takes uint8 images (N, H, W, C), colour in RGB order. Returns probabilities, float32 (N, classes), or images, uint8 (N, H, W, C').
The class names stand in the model's metadata.
"""

from pathlib import Path

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel, PythonModelContext
from scipy.special import softmax

from tasks import provenance, training
from tasks import weights as files


class ServedModel(PythonModel):
    def __init__(self, weights: Path | None = None) -> None:
        if weights is not None:
            self._load(weights)

    def _load(self, weights: Path) -> None:
        self.device = provenance.device("auto")
        self.network, self.configuration = files.load(weights, self.device)

    def load_context(self, context: PythonModelContext) -> None:
        self._load(Path(context.artifacts["weights"]))

    def predict(self, model_input: np.ndarray) -> np.ndarray:  # type: ignore[override]  # MLflow takes this form too
        outputs = training.predict(self.network, model_input, self.device, precision="fp32")
        if self.configuration.task == "classify":
            return np.asarray(softmax(outputs, axis=1), np.float32)
        return training.to_bytes(outputs)


mlflow.models.set_model(ServedModel())
