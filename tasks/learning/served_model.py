"""A network as MLflow serves it: the model's folder names this module, and nothing is pickled.

Takes uint8 images (N, H, W, C), colour in RGB order, or what its kind's `example` is like. What it returns is its kind's to say, in
`tasks/kinds/<kind>/use.py`: `answer` of what the network makes of images, or `serve`, where there is more to an answer than one run of it.
The class names stand in the model's metadata.
"""

from pathlib import Path

import numpy as np

from tasks import kinds
from tasks.common import devices
from tasks.learning import tensors
from tasks.learning import weights as files


class ServedModel:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, weights: Path) -> None:
        self.device = devices.choose("auto")
        self.network, self.configuration = files.load(weights, self.device)

    def example(self, images: np.ndarray) -> np.ndarray:
        """What the model is given, by example: `images`, or what its kind's `example` says."""
        use = kinds.part(self.configuration.task, "use")
        return use.example(self.configuration) if hasattr(use, "example") else images

    def predict(self, model_input: np.ndarray) -> np.ndarray:
        use = kinds.part(self.configuration.task, "use")
        if hasattr(use, "serve"):
            answers: np.ndarray = use.serve(self.network, self.configuration, model_input)
        else:
            answers = use.answer(tensors.predict(self.network, model_input, self.device, precision="fp32"))
        return answers


def _load_pyfunc(path: str) -> ServedModel:
    """The entry that MLflow looks for in a loader module."""
    return ServedModel(Path(path))
