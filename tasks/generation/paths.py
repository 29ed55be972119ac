"""Perceptual path length: how far an image moves, as a trained network sees it, for a small step in the numbers that it is made of."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import squeezenet
from tasks.learning import weights

# The network that looks: SqueezeNet of ImageNet, whose weights git carries.
EYE = Path(squeezenet.__file__).parent / "weights" / "squeezenet.safetensors"
STEP = 1e-3
SIDE, BATCH = 64, 50


class Eye(nn.Module):
    """Images (N, C, H, W) in [0, 1] to the activations of each fire module, (N, C', h, w) each, of length 1 at every place.

    That takes the layers' own scales out, as LPIPS does (Zhang et al. 2018, equation 1, with weights of 1).
    """

    def __init__(self, path: Path = EYE) -> None:
        super().__init__()
        self.network, _ = weights.load(path)
        self.seen: list[Tensor] = []
        for module in self.network.modules():
            if type(module).__name__ == "Fire":
                module.register_forward_hook(lambda _module, _inputs, outputs: self.seen.append(F.normalize(outputs, dim=1)))

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        self.seen.clear()
        colour = images.float().cpu().expand(-1, 3, -1, -1)
        self.network(F.interpolate(colour, (SIDE, SIDE), mode="bilinear", antialias=True))
        return [*self.seen]


def distance(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """The squared distance of two images (N,): the mean over places, summed over layers."""
    return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in zip(first, second)]).sum(0)


def path_length(point: Callable[[Tensor], Tensor], count: int, step: float = STEP) -> float:
    """The mean of d(image at t, image at t + step) / step² over random t of `count` paths (Karras et al. 2019, equations 2 and 3).

    `point`: shares of the way (count, 1) to images (count, C, H, W), of the same paths each time.
    """
    eye = Eye()
    shares = torch.rand(count, 1, generator=torch.Generator().manual_seed(0))
    here, there = (point(at) for at in (shares, shares + step))
    found = [distance(eye(a), eye(b)) / step**2 for a, b in zip(here.split(BATCH), there.split(BATCH))]
    return float(torch.cat(found).mean())


def spherical(first: Tensor, last: Tensor, share: Tensor) -> Tensor:
    """Points (N, D) on the arcs from one vector to another, both (N, D), at shares of the way (N, 1), all of length 1."""
    a, b = F.normalize(first), F.normalize(last)
    angle = (a * b).sum(1, keepdim=True).clamp(-1, 1).acos() * share
    beside = F.normalize(b - (a * b).sum(1, keepdim=True) * a)
    return a * angle.cos() + beside * angle.sin()
