"""MobileNetV2 (Sandler et al. 2018) as a classifier: torchvision's network, inverted residuals, 3.5 million parameters of 1,000 classes.

Images (N, 3, H, W) in [0, 1] of any size from 32 pixels on, which it standardises itself; logits (N, classes). ImageNet's weights reach
71.9 % top-1 at 224 px (torchvision). With other classes than these its features alone begin at them.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from models import Shape
from models.layers import Standardize
from models.mobilenet import MEAN, STD

KIND = "classify"
PRETRAINED = True
RAW_PIXELS = True


class MobileNetV2(nn.Module):
    """torchvision's `mobilenet_v2`, by its own names of parameters, after its standardisation."""

    pretrained = "mobilenet_v2"

    def __init__(self, classes: int, dropout: float) -> None:
        from torchvision.models import mobilenet_v2  # as late as `boxes.ops`

        super().__init__()
        network = mobilenet_v2(weights=None, num_classes=classes, dropout=dropout)
        self.standardize = Standardize(MEAN, STD)
        self.features, self.classifier = network.features, network.classifier

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take torchvision's weights, those of the classifier where it has as many classes."""
        own = self.state_dict()
        taken = {key: tensor for key, tensor in tensors.items() if own[key].shape == tensor.shape}
        self.load_state_dict({**own, **taken})

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(self.standardize(images))
        return self.classifier(features.mean((2, 3)))


def build(shape: Shape, *, dropout: float = 0.2) -> nn.Module:
    if shape.inputs != 3:
        raise ValueError(f"mobilenet_v2 takes images of 3 channels, and these have {shape.inputs}; take another network")
    return MobileNetV2(shape.outputs, dropout)
