"""MobileNetV2 (Sandler et al. 2018) as a backbone: torchvision's network, its first blocks frozen, features of strides 16 and 32.

Its 14th block has 96 channels at stride 16, its last 1,280 at stride 32. Its ImageNet weights are put in before training, from where
the experiment says (`tasks.learning.pretrained`).
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import Standardize

# Of torchvision's ImageNet weights.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MIDDLE = 14  # blocks up to stride 16
CHANNELS = (96, 1280)  # of strides 16 and 32
STRIDE = 32
GREY = 114 / 255

# Blocks that do not learn: their features may be kept. More than 14 would leave nothing of stride 16 that learns.
Frozen = Annotated[int, Field(ge=0, le=MIDDLE)]


class StridedDepthwise(nn.Conv2d):
    """In fp32 on a processor, whatever autocast says: there the gradient in bf16 of this one kind of convolution, of which the
    backbone has four, took a third of a step of `yolo_v1`."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class Backbone(nn.Module):
    """`stem`: images (N, 3, H, W) in [0, 1] to what the frozen blocks give; then features of strides 16 and 32."""

    pretrained = "mobilenet_v2"

    def __init__(self, frozen: int) -> None:
        from torchvision.models import mobilenet_v2  # as late as `boxes.ops`

        super().__init__()
        self.standardize = Standardize(MEAN, STD)
        self.features = mobilenet_v2(weights=None).features
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and module.groups > 1:
                module.__class__ = StridedDepthwise
        self.frozen = frozen
        for parameter in self.features[:frozen].parameters():
            parameter.requires_grad_(False)

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take torchvision's weights of the whole network, of which the classifier is left out."""
        own = {key.removeprefix("features."): tensor for key, tensor in tensors.items() if key.startswith("features.")}
        self.features.load_state_dict(own)

    def train(self, mode: bool = True) -> "Backbone":
        """What is frozen stays in evaluation: its batch norms keep ImageNet's statistics."""
        super().train(mode)
        self.features[: self.frozen].eval()
        return self

    def stem(self, images: Tensor) -> Tensor:
        """Images of any size, padded at the right and the bottom to a multiple of 32 pixels."""
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), value=GREY)
        return self.features[: self.frozen](self.standardize(images))

    def forward(self, stem: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 96, H/16, W/16) and (N, 1280, H/32, W/32)."""
        middle = self.features[self.frozen : MIDDLE](stem)
        return middle, self.features[MIDDLE:](middle)
