"""Saliency maps: how much each pixel of an image counts for the score of a class.

A method takes a network in evaluation mode, images (N, C, H, W) in [0, 1] and a class an image, and returns maps (N, H, W) of zero and more.
The scores are the network's logits. All images of a call are one batch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.common.errors import Error
from tasks.inside.blur import blur
from tasks.learning.tensors import autocast


@dataclass(frozen=True)
class Settings:
    """`samples`: of SmoothGrad and of the path of integrated gradients; `noise`: SmoothGrad's deviation, a share of each image's range.

    `precision`: bf16 or fp32, in which the network computes, forward and back.
    """

    samples: int = 16
    noise: float = 0.15
    seed: int = 0
    precision: str = "fp32"


DEFAULT = Settings()
Method = Callable[[nn.Module, Tensor, Tensor, Settings], Tensor]


def gradients(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The gradient of each image's class score by its pixels, (N, C, H, W). Raises Error for a network without gradients."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        with autocast(images.device, settings.precision):
            scores = network(images)
        if not scores.requires_grad:
            raise Error("the network has no gradients, as nearest neighbours have none; take another network")
        (found,) = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), images)
    return found


def gradient(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The gradient's absolute maximum over channels (Simonyan et al. 2014)."""
    return gradients(network, images, classes, settings).abs().amax(1)


def smoothgrad(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The mean map of the gradient over images with noise (Smilkov et al. 2017)."""
    random = torch.Generator().manual_seed(settings.seed)
    scale = settings.noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(images[:, 0])
    for _ in range(settings.samples):
        # Equal noise for all images: a map does not depend on what else is in the batch.
        noise = torch.randn(images.shape[1:], generator=random).to(images.device)
        total += gradient(network, images + scale * noise, classes, settings)
    return total / settings.samples


def blurred(images: Tensor) -> Tensor:
    """Images (N, C, H, W) of which only coarse light is left: a Gaussian of a deviation of 1/24 of the width."""
    return blur(images, images.shape[3] / 24)


def attributions(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017), (N, C, H, W); they add up to the score's rise above that of the path's beginning.

    The path begins at the blurred image, which has nothing to see and the image's own colours: from black, what is dark would count for
    nothing (Sturmfels et al. 2020).
    """
    total, start = torch.zeros_like(images), blurred(images)
    for step in range(settings.samples):
        total += gradients(network, start + (images - start) * ((step + 0.5) / settings.samples), classes, settings)
    return (images - start) * total / settings.samples


def integrated_gradients(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The sum over channels of the attributions' absolute values."""
    return attributions(network, images, classes, settings).abs().sum(1)


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The last features, weighed by their mean gradients, what is negative left out (Selvaraju et al. 2017); enlarged to the images."""
    kept: list[Tensor] = []
    handle = last_features(network).register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        with torch.enable_grad():
            with autocast(images.device, settings.precision):
                scores = network(images.detach().requires_grad_())
            (slopes,) = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), kept[0])
    finally:
        handle.remove()
    maps = (slopes.float().mean((2, 3), keepdim=True) * kept[0].detach().float()).sum(1, keepdim=True).relu()
    return F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def last_features(network: nn.Module) -> nn.Module:
    """The module whose output is the last that has a place: the one named `features`, or the last convolution. Raises Error without one."""
    named = [module for name, module in network.named_modules() if name.split(".")[-1] == "features"]
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not named and not convolutions:
        raise Error("the network has no convolutions, so its features have no place; take another method than grad-cam")
    return named[-1] if named else convolutions[-1]


def _positive(module: nn.Module, inner: Any, outer: Any) -> tuple[Tensor]:
    return (inner[0].clamp(min=0),)


def guided_backpropagation(network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT) -> Tensor:
    """The gradient, of which each ReLU passes what is positive alone (Springenberg et al. 2015). It draws edges, of a random network too."""
    guided = copy.deepcopy(network)
    rectifiers = [module for module in guided.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    if not rectifiers:
        raise Error("the network has no ReLU that could be guided; take another method than guided-backpropagation")
    for rectifier in rectifiers:
        rectifier.inplace = False
        rectifier.register_full_backward_hook(_positive)
    return gradient(guided, images, classes, settings)


METHODS: dict[str, Method] = {
    "gradient": gradient,
    "smoothgrad": smoothgrad,
    "integrated-gradients": integrated_gradients,
    "grad-cam": grad_cam,
    "guided-backpropagation": guided_backpropagation,
}


def in_batches(
    method: str, network: nn.Module, images: Tensor, classes: Tensor, settings: Settings = DEFAULT, batch: int = 16
) -> Tensor:
    """Maps of any number of images, a batch at a time."""
    parts = zip(images.split(batch), classes.split(batch))
    return torch.cat([METHODS[method](network, some, of, settings).detach() for some, of in parts])
