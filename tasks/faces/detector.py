"""Faces in photographs: a network on letterboxed views, each photograph at several sizes, crowds as large as they are as well.

A photograph's boxes do not depend on what else is in its batch. By default each view is shown alone, on a canvas of just its size. Batches
have a fixed number of rows, of which those that are not filled are grey, and few shapes: full ones are faster, those of mixed photographs seldom full.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from models import centerface, yolov8
from tasks.common import devices
from tasks.common.errors import Error
from tasks.imaging import images
from tasks.learning import foreign, weights
from tasks.learning.tensors import to_float
from tasks.learning.weights import Configuration
from tasks.params.face_settings import FindFaces

YOLOS = ("yolov8", "yolo11")
NETWORKS = (*YOLOS, "centerface", "averaged_centerface")
STRIDE = 32
ROWS = 16  # of a batch at most: what is not filled is computed for nothing
CANDIDATES = 3000  # boxes a view that suppression is given
# Where neither the parameters nor the weights' card say otherwise.
THRESHOLD, NMS, INSIDE, SIZES, ENLARGE = 0.25, 0.5, 0.8, (160, 640), 1.0


@dataclass(frozen=True)
class View:
    """A photograph of so many rows and columns as the network is shown it."""

    photograph: int
    height: int
    width: int
    size: int  # pixels of the long side that it is scaled to


class Faces:
    """A detector with weights and settings."""

    def __init__(
        self, network: nn.Module, settings: FindFaces, device: torch.device | str = "cpu", precision: str = "auto"
    ) -> None:
        """`network`: of one of `NETWORKS`, with one class; it is changed. `precision`: auto, bf16 or fp32."""
        self.settings, self.device = settings, torch.device(device)
        computed = devices.precision(precision, self.device, emulated=False)
        self.network: centerface.Inference | yolov8.Inference
        if isinstance(network, centerface.CenterFace):
            self.network = centerface.Inference(network, self.device, torch.bfloat16 if computed == "bf16" else torch.float32)
        else:
            self.network = yolov8.Inference(network, self.device, computed)
        self.threshold, self.sizes = settings.threshold or THRESHOLD, sorted(settings.sizes or SIZES)
        self.nms, self.inside, self.enlarge = settings.nms or NMS, settings.inside or INSIDE, settings.enlarge or ENLARGE

    @classmethod
    def load(cls, path: Path, settings: FindFaces, device: torch.device | str = "cpu", precision: str = "auto") -> "Faces":
        """The detector of a weights file: ours, or an ultralytics checkpoint (.pt), nothing of which is run.

        Raises Error for a file that is neither, or of another network.
        """
        return cls(read(path), settings, device, precision)

    def detect(self, photographs: Sequence[np.ndarray], floor: float | None = None) -> list[np.ndarray]:
        """Boxes of photographs, uint8 (H, W, 3): for each float32 (K, 5) in order of falling score: x1, y1, x2, y2, score in pixels.

        `floor`: lowest score that is returned, in place of the threshold; it does not change what counts as a crowd.
        """
        floor = self.threshold if floor is None else floor
        views = [view for index, image in enumerate(photographs) for view in self._views(index, image)]
        found = self._look(photographs, views, floor)
        crowds = [i for i, boxes in enumerate(found) if (boxes[:, 4] >= self.threshold).sum() >= self.settings.crowd]
        closer = [view for index in crowds for view in self._closer(index, photographs[index])]
        if closer:
            more = self._look(photographs, closer, floor)
            for index in crowds:
                found[index] = self._merge(np.concatenate([found[index], more[index]]))
        return found

    def _views(self, index: int, image: np.ndarray) -> list[View]:
        """A photograph in each size; all but the smallest size only where they do not enlarge it by too much."""
        height, width = image.shape[:2]
        first, *others = self.sizes
        sizes = [first, *(size for size in others if size <= max(height, width) * self.enlarge)]
        return [View(index, height, width, size) for size in sizes]

    def _closer(self, index: int, image: np.ndarray) -> list[View]:
        """A crowd once more, as large as it is; not where it was seen so."""
        height, width = image.shape[:2]
        size = min(self.settings.crowd_size, max(height, width)) // STRIDE * STRIDE
        return [View(index, height, width, size)] if size > self._views(index, image)[-1].size else []

    @torch.inference_mode()
    def _look(self, photographs: Sequence[np.ndarray], views: Sequence[View], floor: float) -> list[np.ndarray]:
        """The boxes of each photograph out of its views."""
        boxes: dict[int, list[np.ndarray]] = defaultdict(list)
        shapes: dict[tuple[int, int], list[View]] = defaultdict(list)
        for view in views:
            shapes[canvas(view, alone=self.settings.batch == 1)].append(view)
        for (height, width), same in shapes.items():
            rows = self._rows(height * width)
            for start in range(0, len(same), rows):
                part = same[start : start + rows]
                batch = np.full((rows, height, width, 3), images.PADDING, np.uint8)
                scales = []
                for row, view in zip(batch, part):
                    scales.append(_place(photographs[view.photograph], row, view.size))
                for view, scale, found in zip(part, scales, self._batch(torch.from_numpy(batch), floor)):
                    boxes[view.photograph].append(_back(found, scale, view))
        empty = np.zeros((0, 5), np.float32)
        return [self._merge(np.concatenate(boxes[i])) if i in boxes else empty for i in range(len(photographs))]

    def _rows(self, pixels: int) -> int:
        """Rows of a batch of so many pixels each: smaller ones go in larger batches."""
        if self.settings.batch == 1:
            return 1
        return max(1, min(ROWS, round(self.settings.batch * self.sizes[-1] ** 2 / pixels)))

    def _batch(self, batch: Tensor, floor: float) -> list[np.ndarray]:
        """uint8 (N, H, W, 3) to boxes of scores from `floor` on in pixels of each row, float32 (K, 5)."""
        inputs = to_float(batch.to(self.device))
        return [boxes.cpu().numpy() for boxes in self.network(inputs, floor, CANDIDATES)]

    def _merge(self, boxes: np.ndarray) -> np.ndarray:
        return merge(boxes, self.nms, self.inside)


def merge(boxes: np.ndarray, overlap: float, inside: float) -> np.ndarray:
    """Boxes (K, 5) in order of falling score. Of those whose IoU is over `overlap` the surest one stays; and none stays of which a share
    over `inside` lies within a surer one, as an eye does in its face."""
    table = torch.from_numpy(np.ascontiguousarray(boxes))
    boxes = boxes[nms(table[:, :4], table[:, 4], overlap).numpy()]
    within = coverage(boxes) > inside
    kept = np.ones(len(boxes), bool)
    for place in range(1, len(boxes)):
        kept[place] = not (within[place, :place] & kept[:place]).any()
    return boxes[kept]


def coverage(boxes: np.ndarray) -> np.ndarray:
    """Which share of each box (K, 4 or more) each other one covers, (K, K): of the row's box by the column's."""
    x1, y1, x2, y2 = boxes[:, :4].T
    wide = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    high = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    share: np.ndarray = wide.clip(0) * high.clip(0) / np.maximum((x2 - x1) * (y2 - y1), 1e-9)[:, None]
    return share


def read(path: Path) -> nn.Module:
    """A face detector with one class. Raises Error for weights that cannot be read or are of another network."""
    if path.suffix != ".pt":
        network, configuration = weights.load(weights.verified(path))
        if configuration.network not in NETWORKS or configuration.outputs != 1:
            raise Error(
                f"{path}: weights of the network {configuration.network} with {configuration.outputs} outputs, not of a face "
                f"detector ({', '.join(NETWORKS)}; one class); give others, or train one: dvc repro train@face-centerface-averaged"
            )
        return network
    # Detectors that find landmarks as well have a further branch, which has no part in boxes.
    tensors = {f"model.{name}": tensor for name, tensor in foreign.read(path).items() if ".cv4." not in name}
    for name, scale in itertools.product(YOLOS, ("n", "s", "m")):
        network = Configuration(
            experiment=path.stem, task="detect", network=name, architecture={"scale": scale}, inputs=3, outputs=1, size=640,
            seed=0, git_commit="unknown", data_hash="unknown",
        ).build()  # fmt: skip
        state = network.state_dict()
        if {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in tensors.items()}:
            network.load_state_dict(tensors)
            return network.eval()
    raise Error(f"{path}: not a YOLOv8 or YOLO11 detector of one class in the sizes n, s or m; {foreign.ADVICE}")


def canvas(view: View, alone: bool) -> tuple[int, int]:
    """Height and width of what a view is padded to: the network's strides, or, as few shapes fill batches, three quarters of the size or all of it."""
    long = max(view.height, view.width)

    def side(length: int) -> int:
        pixels = max(1, round(length * view.size / long))
        if alone:
            return -(-pixels // STRIDE) * STRIDE
        short = -(-view.size * 3 // (4 * STRIDE)) * STRIDE
        return short if pixels <= short else view.size

    return side(view.height), side(view.width)


def _place(pixels: np.ndarray, row: np.ndarray, size: int) -> tuple[float, float]:
    """Scale pixels into the upper left of a row, and return the factors of x and y."""
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    row[:h, :w] = images.resize(pixels, w, h)
    return w / width, h / height


def _back(boxes: np.ndarray, scale: tuple[float, float], view: View) -> np.ndarray:
    """Boxes of a view in the photograph's pixels, within it; those of less than a pixel are none."""
    placed: Any = boxes.copy()
    placed[:, [0, 2]] = (placed[:, [0, 2]] / scale[0]).clip(0, view.width)
    placed[:, [1, 3]] = (placed[:, [1, 3]] / scale[1]).clip(0, view.height)
    large = (placed[:, 2] - placed[:, 0] >= 1) & (placed[:, 3] - placed[:, 1] >= 1)
    kept: np.ndarray = placed[large].astype(np.float32)
    return kept
