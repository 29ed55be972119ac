"""YOLOv8 of ultralytics (2023), an anchor-free one-stage detector: the peer that our own detectors are held against.

The network is ultralytics' own, built from its description without a download, in its sizes n (3.0 million parameters) to m. It is
trained from scratch by ultralytics' own trainer (`tasks.learning.yolo`), with its losses, augmentation and moving average. At 224 px,
from 2,250 images and within an hour on two cores, little can be expected of it.
"""

import logging
import os
import tempfile
from functools import cache
from typing import Annotated, Any, Literal

import PIL.Image
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.boxes import Detector, clip

logger = logging.getLogger(__name__)

KIND = "detect"
# Who trains it, in place of our loop: a module of tasks/.
TRAINER = "tasks.kinds.detect.yolo"
STRIDE = 32
GREY = 114 / 255  # what ultralytics pads with


@cache
def ultralytics() -> Any:
    """The package, silent, and with its settings where nothing else is: it reads and writes them as it is imported."""
    folder = tempfile.TemporaryDirectory(prefix="darkroom-ultralytics-")
    os.environ |= {"YOLO_CONFIG_DIR": folder.name, "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false", "YOLO_AUTOINSTALL": "false"}
    pillow, torch_save = PIL.Image.open, torch.save
    # It makes tensors as it is imported, which may be while a network is only counted.
    with torch.device("cpu"):
        import ultralytics as package
        import ultralytics.nn.tasks
        from ultralytics.utils import LOGGER, SETTINGS

    # It replaces them for all of the process; its `open` would install a package where Pillow does not know a file.
    PIL.Image.open, torch.save = pillow, torch_save
    LOGGER.setLevel(logging.ERROR)
    SETTINGS.update(
        {"sync": False} | dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False)
    )
    package._settings_folder = folder  # as long as the package
    return package


class YOLOv8(Detector):
    """ultralytics' network under our conventions."""

    family = "yolov8"

    def __init__(self, shape: Shape, scale: str, floor: float, iou: float, most: int) -> None:
        super().__init__()
        ultralytics()
        from ultralytics.nn.tasks import DetectionModel, yaml_model_load
        from ultralytics.utils import DEFAULT_CFG

        description = {**yaml_model_load(f"{self.family}{scale}.yaml"), "nc": shape.outputs}
        device = torch.get_default_device()
        # Its strides are found by a forward pass, which needs numbers even where only shapes are asked for.
        with torch.device("cpu"):
            self.model = DetectionModel(description, ch=shape.inputs, verbose=False).to(device)
        setattr(self.model, "args", DEFAULT_CFG)  # noqa: B010 (the weights of its losses; torch types it as a module)
        self.floor, self.iou, self.most = floor, iou, most

    def losses(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Box, class and distribution focal losses as ultralytics weighs them; an image, where its own are a batch's."""
        height, width = images.shape[-2:]
        row, place = (targets[..., 4] >= 0).nonzero(as_tuple=True)
        x1, y1, x2, y2, label, _ = targets[row, place].unbind(-1)
        centres = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        batch = {"img": images, "batch_idx": row.float(), "cls": label[:, None], "bboxes": torch.stack(centres, -1)}
        weighted, _ = self.model.loss(batch, self.model(images))
        return dict(zip(("box", "class", "focal"), (weighted / len(images)).unbind()))

    def candidates(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        height, width = features.shape[-2:]
        images = F.pad(features, (0, -width % STRIDE, 0, -height % STRIDE), value=GREY)
        # Its boxes are decoded from features: in bf16 a corner would be off by a pixel.
        with torch.autocast(images.device.type, enabled=False):
            predictions = self.model(images.float())[0].transpose(1, 2)  # (N, A, 4 + classes)
        centre, half = predictions[..., :2], predictions[..., 2:4] / 2
        return clip(torch.cat([centre - half, centre + half], -1), *size), predictions[..., 4:]


class Activated(nn.Module):
    """A convolution and its SiLU in one pass over memory, oneDNN's, which `torch.compile` too would choose: (N, C, H, W) to (N, C', H', W')."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        c = self.convolution
        size = (list(c.padding), list(c.stride), list(c.dilation), c.groups)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, c.weight, c.bias, *size, "swish", [], "")
        return out


class Inference(nn.Module):
    """What remains of a network where it is only asked: batch norms are part of their convolutions, on a processor SiLUs too, all
    weights have the precision that is computed in, and boxes are decoded only where the score is high enough."""

    def __init__(self, network: nn.Module, device: torch.device, precision: str) -> None:
        """`network`: a YOLOv8, which is changed. `precision`: bf16, or fp32, which is used in its place on a processor without bf16."""
        super().__init__()
        ultralytics()
        from ultralytics.nn.modules.conv import Conv
        from ultralytics.utils.tal import make_anchors

        model: Any = network.model
        self.anchors, self.strides = make_anchors, model.stride
        onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
        self.dtype = torch.bfloat16 if precision == "bf16" and _computes_bf16(device) else torch.float32
        self.model = model.fuse(verbose=False).to(device=device, dtype=self.dtype, memory_format=torch.channels_last).eval()
        self.model.model[-1].train()  # it has no layers left that would ask, and leaves its boxes raw
        if onednn:
            activated: list[Any] = [m for m in self.model.modules() if isinstance(m, Conv) and isinstance(m.act, nn.SiLU)]
            for module in activated:
                module.conv, module.act = Activated(module.conv), nn.Identity()

    def forward(self, images: Tensor, floor: float, most: int) -> list[Tensor]:
        """Images (N, 3, H, W) in [0, 1] to at most `most` boxes of each, float32 (K, 5) in order of falling score: x1, y1, x2, y2, score of
        at least `floor`; in pixels, and they overlap."""
        raw = self.model(images.to(self.dtype))
        sizes = torch.tensor([level.shape[2:] for level in raw["feats"]], dtype=torch.float32, device=images.device)
        centres, strides = self.anchors(sizes, self.strides)
        found = []
        # In fp32 from here on: bf16 has eight bits for a coordinate.
        for boxes, scores in zip(raw["boxes"], raw["scores"].float().sigmoid()[:, 0]):
            best, where = scores.topk(min(most, len(scores)))
            where, best = where[best >= floor], best[best >= floor]
            corners = decode(boxes[:, where].float(), centres[where]) * strides[where]
            found.append(torch.cat([corners, best[:, None]], 1))
        return found


def _computes_bf16(device: torch.device) -> bool:
    """Whether `Activated` may be given bf16: oneDNN's operator refuses it on a processor without AVX-512 or the like. Says so once."""
    if device.type != "cpu" or (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return True
    _say_fp32()
    return False


@cache
def _say_fp32() -> None:
    logger.warning("this processor does not compute in bf16; the detector uses fp32, with slightly different numbers")


def decode(boxes: Tensor, centres: Tensor) -> Tensor:
    """Corners (K, 4) of raw boxes (4 * bins, K), which say how probable each distance of the left, upper, right and lower side from the
    centre (K, 2) is (Li et al. 2020, Generalized Focal Loss, eq. 5)."""
    probabilities = boxes.unflatten(0, (4, -1)).softmax(1)
    distances = torch.arange(probabilities.shape[1], dtype=torch.float32, device=boxes.device)
    left, top, right, bottom = torch.einsum("sbk,b->sk", probabilities, distances)
    x, y = centres.unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], 1)


def build(
    shape: Shape,
    *,
    scale: Literal["n", "s", "m"] = "n",
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.001,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.7,
    most: PositiveInt = 100,
) -> YOLOv8:
    """`scale`: depth and width. `floor`: detections of smaller scores are left out; `iou`: overlaps beyond which the lesser of two
    is; `most`: detections an image."""
    return YOLOv8(shape, scale, floor, iou, most)
