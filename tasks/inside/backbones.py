"""The networks of ImageNet that are looked into and painted with, by name, and the features that they give.

SqueezeNet comes with the code, MobileNetV2 in a package. No package carries VGG-19: it is had from torchvision's address, a mirror or a file,
and known by the hash that torchvision publishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

import models
from models import mobilenet_v2, squeezenet  # noqa: F401  (what a stage's digest follows)
from models.layers import Standardize
from models.mobilenet import MEAN, STD
from tasks.common.errors import Error
from tasks.learning import pretrained, weights
from tasks.learning.pretrained import Source
from tasks.params.params import known_to_user
from tasks.params.recipe import Pretrained
from tasks.params.study import EMBEDDED

IMAGENET = 1000
# torchvision's VGG19_Weights.IMAGENET1K_V1
VGG19 = Source(file="vgg19-dcbb9e9d.pth", sha256="dcbb9e9d", url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth")


@dataclass(frozen=True)
class Backbone:
    """`content` and `style`: the numbers of the layers whose activations the losses of painting compare.

    `scales`: the root mean square of each layer's activations on the ten photographs inside the packages at 224 px (`measured`),
    by which the weights of losses are brought to one unit.
    """

    content: int
    style: tuple[int, ...]
    scales: tuple[float, ...] = ()


# SqueezeNet's are the course's; VGG-19's are relu4_2, and relu1_1 to relu5_1 (Gatys et al. 2016).
BACKBONES = {
    "squeezenet": Backbone(
        3, (1, 4, 6, 7), (53.0, 37.16, 56.94, 59.92, 69.3, 121.3, 85.31, 56.2, 105.4, 68.38, 38.17, 30.44, 11.87)
    ),
    "mobilenet_v2": Backbone(
        4,
        (1, 3, 6, 10),
        (
            0.473,
            0.5862,
            0.5327,
            0.8493,
            0.6429,
            0.7425,
            0.8388,
            0.5385,
            0.6368,
            0.6432,
            0.661,
            0.4024,
            0.4983,
            0.6064,
            0.2869,
            0.3955,
            0.7732,
            0.2308,
            1.034,
        ),
    ),
    "vgg19": Backbone(22, (1, 6, 11, 20, 29)),
}


class Features(nn.Module):
    """Layers one after another: images (N, 3, H, W) in [0, 1] to the activations of chosen ones; nothing after the last of them is computed."""

    def __init__(self, layers: nn.Sequential, standardize: nn.Module) -> None:
        super().__init__()
        self.standardize, self.layers = standardize, layers

    def forward(self, images: Tensor, numbers: Sequence[int]) -> list[Tensor]:
        x, found = self.standardize(images), {}
        for number, layer in enumerate(self.layers[: max(numbers) + 1]):
            x = layer(x)
            if number in numbers:
                found[number] = x
        return [found[number] for number in numbers]


@lru_cache(maxsize=3)
def classifier(name: str, device: torch.device | str = "cpu", source: str = "package") -> nn.Module:
    """A classifier of ImageNet's 1,000 classes, in evaluation, without gradients of its own. Raises Error for weights that are not there."""
    if name == "squeezenet":
        network, _ = weights.load(weights.verified(EMBEDDED / "squeezenet.safetensors"), device)
    elif name == "mobilenet_v2":
        network = models.build(name, models.Shape(3, IMAGENET, 224), {})
        pretrained.load(network, Pretrained(source=source))
    else:
        known_to_user(name, [n for n in BACKBONES if n != "vgg19"], "classifier")
    placed: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed.eval().requires_grad_(False)


@lru_cache(maxsize=3)
def features(name: str, device: torch.device | str = "cpu", source: str = "package", path: str | None = None) -> Features:
    """A backbone's layers. `source`, `path`: where weights come from that are not in the code. Raises Error where they are not there."""
    known_to_user(name, BACKBONES, "backbone")
    if name == "vgg19":
        return _placed(Features(_vgg19(source, path), Standardize(MEAN, STD)), device)
    network: Any = classifier(name, device, source)
    if name == "squeezenet":
        standardize, inner = network.children()
        return _placed(Features(inner.features, standardize), device)
    return _placed(Features(network.features, network.standardize), device)


def _placed(network: Features, device: torch.device | str) -> Features:
    placed: Features = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed.eval().requires_grad_(False)


def _vgg19(source: str, path: str | None) -> nn.Sequential:
    from torchvision.models import vgg19  # as late as `boxes.ops`

    try:
        tensors = pretrained.read(VGG19, Pretrained(source=source, path=path))
    except Error as error:
        raise Error(
            f"vgg19: {error}. No package carries its weights: take source: url ({VGG19.url}), or put {VGG19.file}, whose SHA-256 begins "
            f"with {VGG19.sha256}, into $DARKROOM_MIRROR/weights/ for source: mirror, or anywhere for source: path"
        ) from None
    layers: nn.Sequential = vgg19(weights=None, init_weights=False).features
    layers.load_state_dict({k.removeprefix("features."): t for k, t in tensors.items() if k.startswith("features.")})
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return layers


@torch.no_grad()
def measured(name: str, images: Tensor) -> tuple[float, ...]:
    """The root mean square of each layer's activations on images (N, 3, H, W) in [0, 1]."""
    network = features(name)
    return tuple(float(found.square().mean().sqrt()) for found in network(images, range(len(network.layers))))


def differentiable(network: nn.Module, channels: int, size: int) -> bool:
    """Whether a classifier's scores have gradients by its images, as those of nearest neighbours have not."""
    parameter = next(iter([*network.parameters(), *network.buffers()]), torch.empty(0))
    with torch.enable_grad():
        scores: Tensor = network(torch.zeros(1, channels, size, size, device=parameter.device, requires_grad=True))
    return scores.requires_grad
