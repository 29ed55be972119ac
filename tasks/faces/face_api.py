"""The expression network of face-api, a peer that our networks of emotions are held against, as the npm package carries it.

Mühler 2018, face-api.js (https://github.com/vladmandic/face-api): dense blocks of separable convolutions, 324 thousand parameters of 8 bits,
trained on other faces than FER2013's.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.common import installed
from tasks.common.errors import Error

PACKAGE = "@vladmandic/face-api"
SHA256 = "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d"
INSTALL = f"npm install --no-save --ignore-scripts {PACKAGE}@1.7.15"
# The order of its outputs (FaceExpressions.ts), in our words.
ORDER = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
SIZE = 112
MEAN = (122.782, 117.001, 104.298)  # of the red, green and blue that it was trained on
BLOCKS = 4


def find(root: Path) -> Path:
    """The weights' file in the `node_modules` of a folder. Raises Error where it is not there, or has another hash."""
    path = root / "node_modules" / PACKAGE / "model" / "face_expression_model.bin"
    return installed.checked(path, SHA256, INSTALL)


class FaceApi:
    """The published network, in PyTorch."""

    def __init__(self, path: Path) -> None:
        """Raises Error for weights without the list of what is in them."""
        self.weights = _read(path)
        self.parameters = sum(values.numel() for values in self.weights.values())

    @torch.inference_mode()
    def logits(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (N, 7), in the order of `ORDER`, of grey faces, uint8 (H, W)."""
        pixels = np.stack([cv2.resize(face, (SIZE, SIZE)) for face in faces]).astype(np.float32)
        x = (torch.from_numpy(pixels)[:, None] - torch.tensor(MEAN)[:, None, None]) / 255
        for block in range(BLOCKS):
            x = self._block(x, f"dense{block}")
        features = F.avg_pool2d(x, 7, 2).flatten(1)
        out: np.ndarray = (features @ self.weights["fc/weights"] + self.weights["fc/bias"]).numpy()
        return out

    def _block(self, x: Tensor, name: str) -> Tensor:
        """Four convolutions, the first of which halves the sides; each takes the sum of all before it."""
        total = F.relu(self._convolution(x, f"{name}/conv0", stride=2))
        for index in (1, 2, 3):
            total = total + self._convolution(F.relu(total), f"{name}/conv{index}")
        return F.relu(total)

    def _convolution(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        # TensorFlow pads a side of even length at its end alone where the stride is 2.
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        bias = self.weights[f"{name}/bias"]
        if (whole := self.weights.get(f"{name}/filters")) is not None:
            return F.conv2d(x, whole.permute(3, 2, 0, 1), bias, stride)
        depth, point = (self.weights[f"{name}/{kind}_filter"] for kind in ("depthwise", "pointwise"))
        return F.conv2d(F.conv2d(x, depth.permute(2, 3, 0, 1), None, stride, groups=x.shape[1]), point.permute(3, 2, 0, 1), bias)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of TensorFlow.js: one after the other, some as bytes with a scale and a least value."""
    try:
        [group] = json.loads(path.with_name("face_expression_model-weights_manifest.json").read_bytes())
    except (OSError, ValueError):
        raise Error(f"{path}: without its list of weights beside it; run: {INSTALL}") from None
    content, start, found = path.read_bytes(), 0, {}
    for item in group["weights"]:
        quantised = item.get("quantization")
        values: np.ndarray = np.frombuffer(content, np.uint8 if quantised else np.float32, int(np.prod(item["shape"])), start)
        start += values.nbytes
        exact = values * np.float32(quantised["scale"]) + np.float32(quantised["min"]) if quantised else values.copy()
        found[item["name"]] = torch.from_numpy(exact.astype(np.float32).reshape(item["shape"]))
    return found
