"""Emotions of faces: crops of any size through DeepFace's preparation and a network of ours or DeepFace's own, in batches.

`DeepFace.analyze` takes one face at a time, and detects a second time inside each crop unless told not to; the answers are the same
(tests/tasks/faces/test_emotions.py).
"""

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

import models
from models.layers import Standardize
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.datasets.emotions import EMOTIONS
from tasks.faces.calibration import Calibration
from tasks.faces.conditions import measures
from tasks.faces.folding import folded
from tasks.learning import weights
from tasks.learning.tensors import autocast

SIZE = 48
# What DeepFace makes of every face before it is made grey and small.
CANVAS = 224
# Faces that the network is shown at once: what a batch needs stays within the processor's caches.
BATCH = 64
# Faces that are prepared before the network is shown any: to go from one to the other at every batch is slower.
AHEAD = 1024
EMBEDDED = Path(models.__path__[0]) / "weights" / "emotion.safetensors"
# DeepFace's own weights, which have no published hash (deepface/models/demography/pytorch/Emotion.py).
DEEPFACE_FILE = "facial_expression_model_weights.pth"
DEEPFACE_URLS = (
    f"https://github.com/serengil/deepface_models/releases/download/v1.0/{DEEPFACE_FILE}",
    f"https://huggingface.co/serengil/deepface/resolve/main/{DEEPFACE_FILE}",
)


class Emotions:
    """A network with its weights, and what was measured of them on validation."""

    def __init__(
        self,
        network: nn.Module,
        calibration: Calibration = Calibration(),
        device: torch.device | str = "cpu",
        precision: str = "auto",
    ) -> None:
        """`network`: (N, 1, 48, 48) in [0, 1] to (N, 7) logits. `precision`: auto, bf16 or fp32."""
        self.network = folded(network).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.calibration, self.device = calibration, torch.device(device)
        self.precision = devices.precision(precision, self.device, emulated=False)
        self.temperature, self.threshold = calibration.temperature, calibration.threshold
        self.blurred, self.small = calibration.blurred, calibration.small
        self._workers = ThreadPoolExecutor(torch.get_num_threads())

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu", precision: str = "auto") -> "Emotions":
        """The emotions of a weights file: ours (.safetensors), or DeepFace's (.pth), which have no calibration.

        Raises Error for a file that is neither, and for a network of something else than the seven emotions of grey faces.
        """
        if path.suffix == ".pth":
            return cls(_of_deepface(path), Calibration(), device, precision)
        network, configuration = weights.load(weights.verified(path))
        if configuration.classes != EMOTIONS or (configuration.inputs, configuration.size) != (1, SIZE):
            raise Error(
                f"{path}: weights of {configuration.experiment}, which are not those of emotions ({', '.join(EMOTIONS)}) of grey faces "
                f"of {SIZE} pixels; take those of an experiment on fer2013"
            )
        return cls(network, Calibration.model_validate(weights.card(path).get("calibration", {})), device, precision)

    def probabilities(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """Calibrated probabilities, float32 (N, 7) in the order of EMOTIONS, of faces, uint8 (H, W, 3) in RGB order or (H, W)."""
        return self.read(faces)[0]

    def read(self, faces: Sequence[np.ndarray], batch: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        """`probabilities` of faces, and for each the probability below which its answer is uncertain, (N,); above 1 where it always is."""
        seen = self.measures(faces)
        return self.calibration.probabilities(self.logits(faces, batch), seen), self.calibration.thresholds(seen)

    def measures(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """What the calibration depends on, (N, 2): side and detail (`tasks.faces.conditions`); zeros where it depends on neither."""
        return measures(faces) if self.calibration.conditions else np.zeros((len(faces), 2))

    def logits(self, faces: Sequence[np.ndarray], batch: int = BATCH) -> np.ndarray:
        """float32 (N, 7) of faces as `probabilities` takes them, in batches of so many."""
        if not len(faces):
            return np.empty((0, len(EMOTIONS)), np.float32)
        found, ahead = [], batch * max(1, AHEAD // batch)
        for start in range(0, len(faces), ahead):
            prepared = self._prepared(faces[start : start + ahead])
            found += [self._batch(prepared[i : i + batch]) for i in range(0, len(prepared), batch)]
        return np.concatenate(found)

    def _prepared(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (B, 48, 48), a share of the faces in each thread: a task a face would cost as much as the face."""
        share = -(-len(faces) // torch.get_num_threads())
        return np.concatenate([*self._workers.map(_stacked, [faces[i : i + share] for i in range(0, len(faces), share)])])

    @torch.inference_mode()
    def _batch(self, faces: np.ndarray) -> np.ndarray:
        """Logits of prepared faces, float32 (B, 48, 48)."""
        images = torch.from_numpy(faces)[:, None].to(self.device)
        with autocast(self.device, self.precision):
            logits = self.network(images).float()
            if self.calibration.mirrored:
                logits = (logits + self.network(images.flip(3)).float()) / 2
        out: np.ndarray = logits.cpu().numpy()
        return out


def prepare(face: np.ndarray) -> np.ndarray:
    """A face, uint8 (H, W, 3) in RGB order or grey (H, W), as DeepFace's network is shown it: float32 (48, 48) in [0, 1].

    DeepFace scales a face to fit 224 pixels, pads it with black, makes it grey and scales that to 48, all bilinear
    (deepface/modules/preprocessing.py); grey comes first here, which is the same in less time. Raises ValueError for another
    type or shape, and for no pixels.
    """
    if face.dtype != np.uint8 or face.ndim not in (2, 3) or (face.ndim == 3 and face.shape[2] != 3) or not face.size:
        raise ValueError(f"a face of {face.dtype} {face.shape} is not uint8 (H, W, 3) or (H, W)")
    height, width = face.shape[:2]
    grey: np.ndarray = face.astype(np.float32)
    if face.ndim == 3:
        grey = cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY)
    factor = min(CANVAS / height, CANVAS / width)
    height, width = max(1, int(height * factor)), max(1, int(width * factor))
    grey = cv2.resize(grey, (width, height))
    if height < CANVAS or width < CANVAS:
        top, left = (CANVAS - height) // 2, (CANVAS - width) // 2
        canvas = np.zeros((CANVAS, CANVAS), np.float32)
        canvas[top : top + height, left : left + width] = grey
        grey = canvas
    grey = cv2.resize(grey, (SIZE, SIZE))
    # DeepFace takes pixels of 0 and 1 alone for an image that is in [0, 1] already.
    return grey / 255 if face.max() > 1 else grey


def _stacked(faces: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([prepare(face) for face in faces])


def sharpness(face: np.ndarray) -> float:
    """Variance of the Laplacian of a face, uint8 (H, W, 3) in RGB order or (H, W), scaled to 48 pixels and grey: low where it is blurred.

    Pertuz et al. 2013, "Analysis of focus measure operators for shape-from-focus", LAP4.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) if face.ndim == 3 else face
    # Enlarged by areas, a small face would have edges that are none.
    way = cv2.INTER_AREA if min(grey.shape) > SIZE else cv2.INTER_LINEAR
    small = cv2.resize(grey, (SIZE, SIZE), interpolation=way)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def export(path: Path, home: Path) -> Path:
    """Write emotion-deepface's weights where DeepFace loads them with DEEPFACE_HOME=`home`, and return that file.

    What standardises the images is folded into the first convolution. Raises Error for weights of another network.
    """
    network, configuration = weights.load(weights.verified(path))
    if configuration.network != "deepface":
        raise Error(f"{path}: weights of the network {configuration.network}; DeepFace takes those of `network: deepface` alone")
    standardize, inner = network if isinstance(network, nn.Sequential) else (None, network)
    tensors = {name: tensor.clone().contiguous() for name, tensor in inner.state_dict().items()}
    if isinstance(standardize, Standardize):
        # The convolution has no padding, so that w * (x - m) / s + b is w / s * x + (b - sum(w) * m / s) at each of its places.
        mean, std = standardize.mean.flatten(), standardize.std.flatten()
        tensors["conv_1.bias"] -= tensors["conv_1.weight"].sum((2, 3)) @ (mean / std)
        tensors["conv_1.weight"] /= std[:, None, None]
    target = home / ".deepface" / "weights" / DEEPFACE_FILE
    with atomic(target) as temporary:
        torch.save(tensors, temporary)
    return target


def _of_deepface(path: Path) -> nn.Module:
    """DeepFace's network with the weights of its own file, nothing of which is run."""
    network = models.build("deepface", models.Shape(1, len(EMOTIONS), SIZE), {})
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise Error(f"{path}: no such weights") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Error(f"{path}: not the weights of DeepFace's emotion network ({reason}); take {DEEPFACE_URLS[0]}") from None
    return network
