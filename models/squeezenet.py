"""SqueezeNet 1.1 (Iandola et al. 2016): torchvision's network, fire modules in place of wide convolutions, 1.2 million parameters.

Images (N, 3, H, W) of any size from 32 pixels on, standardised by ImageNet's mean and deviation; logits (N, classes). ImageNet's weights
reach 58.2 % top-1 at 224 px (torchvision). Those in models/weights/ are Caffe's, whose activations are on a scale of 0 to 255.
"""

from torch import Tensor, nn

from models import Shape

KIND = "classify"


class SqueezeNet(nn.Module):
    """torchvision's `squeezenet1_1`, by its own names of parameters."""

    def __init__(self, classes: int, dropout: float) -> None:
        from torchvision.models import squeezenet1_1  # as late as `boxes.ops`

        super().__init__()
        network = squeezenet1_1(weights=None, num_classes=classes, dropout=dropout)
        self.features, self.classifier = network.features, network.classifier
        for module in self.modules():
            # What is overwritten in place has no gradient hooks, and is lost to those who look at activations.
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images)).flatten(1)


def build(shape: Shape, *, dropout: float = 0.5) -> nn.Module:
    if shape.inputs != 3:
        raise ValueError(
            f"squeezenet takes images of 3 channels, and these have {shape.inputs}; take a network of ours, such as cnn"
        )
    return SqueezeNet(shape.outputs, dropout)
