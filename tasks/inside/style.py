"""Painting: a picture that has one photograph's content and others' style, by descent of losses on a network's activations.

The losses are Gatys et al. 2016's, in the forms of two publications (`RECIPES`). A backbone's activations have a scale of their own, so the
weights of losses stand for activations whose root mean square is 1 at every layer, and are brought to the backbone's (`Settings.unit`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.mobilenet import MEAN, STD
from tasks.inside.backbones import BACKBONES, Features

PARTS = ("content", "style", "variation")
SMALLEST = 64  # pixels of a side that the coarsest scale has at least
# Adam whose rate falls along half a cosine to 0, from this one for pixels in [0, 1]. Activations have kinks, where gradients jump: squares
# that are forgotten after five steps follow them, and those of Adam's usual thousand do not.
ANNEALED, FORGETFUL = 0.05, (0.9, 0.8)


def gram(activations: Tensor) -> Tensor:
    """Products of channels (N, C, C), means over places and divided by C, of activations (N, C, H, W)."""
    # A view in channels_last memory; the product of a batch, of such strides, takes twice as long as that of one matrix.
    places = activations.permute(0, 2, 3, 1).flatten(1, 2)
    return torch.stack([one.T @ one for one in places]) / activations[0].numel()


def squares(image: Tensor) -> Tensor:
    """Total variation: the sum of squared differences of neighbours, of an image (N, C, H, W)."""
    return image.diff(dim=2).square().sum() + image.diff(dim=3).square().sum()


def absolutes(image: Tensor) -> Tensor:
    """Total variation: the sum of absolute differences of neighbours, of an image (N, C, H, W)."""
    return image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum()


@dataclass(frozen=True)
class Recipe:
    """A publication's losses and its way of descent.

    `content`, `style`: factors of the sums of squared differences of activations and of Gram matrices (those of `gram`: 1/4 of them is
    1/(4 N^2 M^2) of the plain ones'); `standardised`: whether the image that is changed has ImageNet's mean 0 and deviation 1, or lies in [0, 1];
    `clipped`: to which bounds it is kept, until the last twentieth; `late`: the rate of the last tenth.
    """

    content: float
    style: float
    absolute: bool
    standardised: bool
    rate: float
    late: float
    clipped: float | None


RECIPES = {
    # The course's: Adam at 3.0, 0.1 in the end.
    "squeezenet": Recipe(1, 1, False, True, 3.0, 0.1, 1.5),
    "vgg19": Recipe(1 / 2, 1 / 4, True, False, 0.01, 0.01, None),
}


Optimizer = Literal["adam", "lbfgs", "annealed"]


@dataclass(frozen=True)
class Settings:
    """`optimizer`: the publications' Adam; L-BFGS; or Adam whose rate falls (`ANNEALED`). `content`, `style` (a layer each, or one for all), `variation`: weights of losses.

    `unit`: the root mean square that a layer's activations are taken to have; None leaves them as the network gives them, as its own publication does.
    `scales`: how many sizes the picture is painted at, each twice the one before, steps shared among them equally.
    """

    recipe: str = "squeezenet"
    backbone: str = "squeezenet"
    steps: int = 200
    content: float = 0.05
    style: tuple[float, ...] = (2e4,)
    variation: float = 0.05
    unit: float | None = 1.0
    optimizer: Optimizer = "adam"
    scales: int = 1
    start: Literal["content", "noise"] = "content"
    colours: bool = False
    seed: int = 0


class Objective:
    """The weighted losses of an image beside a content and styles that are mixed by weights. Targets are computed once."""

    def __init__(self, network: Features, content: Tensor, styles: Sequence[tuple[Tensor, float]], settings: Settings) -> None:
        self.network, self.settings, self.recipe = network, settings, RECIPES[settings.recipe]
        backbone = BACKBONES[settings.backbone]
        self.numbers = (backbone.content, *backbone.style)
        own = settings.style if len(settings.style) == len(backbone.style) else settings.style * len(backbone.style)
        factors = [1.0 if settings.unit is None else settings.unit / backbone.scales[n] for n in self.numbers]
        self.content_weight = settings.content * self.recipe.content * factors[0] ** 2
        self.style_weights = [w * self.recipe.style * f**4 for w, f in zip(own, factors[1:], strict=True)]
        with torch.no_grad():
            self.content = network(content, self.numbers[:1])[0]
            total = sum(weight for _, weight in styles)
            grams = [[gram(a) * (weight / total) for a in network(style, self.numbers[1:])] for style, weight in styles]
            self.style = [torch.stack(of).sum(0) for of in zip(*grams)]

    def __call__(self, image: Tensor, shown: Tensor) -> dict[str, Tensor]:
        """The weighted losses by their names; `image`: what is changed, `shown`: the same in [0, 1]."""
        first, *others = self.network(shown, self.numbers)
        style = sum(w * (gram(a) - g).square().sum() for w, a, g in zip(self.style_weights, others, self.style))
        variation = absolutes(image) if self.recipe.absolute else squares(image)
        return {
            "content": self.content_weight * (first - self.content).square().sum(),
            "style": torch.as_tensor(style),
            "variation": self.settings.variation * variation,
        }


class Painting:
    """The work (`tasks.inside.work`) on one picture. `content`: (1, 3, H, W) in [0, 1]; `styles`: such pictures of any size, and their shares."""

    def __init__(self, network: Features, content: Tensor, styles: Sequence[tuple[Tensor, float]], settings: Settings) -> None:
        self.network, self.content, self.styles, self.settings = network, content, styles, settings
        self.recipe = RECIPES[settings.recipe]
        self.mean, self.std = (torch.tensor(v, device=content.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        self.sizes = sizes(content, settings.scales)
        self.done, self.steps, self.losses = 0, settings.steps, list[dict[str, float]]()
        self._enter(0, None)

    def _enter(self, scale: int, image: Tensor | None) -> None:
        """Begin with a scale: its targets, and the picture enlarged from the scale before."""
        self.scale, size = scale, self.sizes[scale]
        content = _sized(self.content, size)
        factor = size[0] / self.content.shape[2]
        styles = [(_sized(s, [max(1, round(side * factor)) for side in s.shape[2:]]), weight) for s, weight in self.styles]
        self.objective = Objective(self.network, content, styles, self.settings)
        if image is None:
            image = self._hidden(content)
            if self.settings.start == "noise":
                random = torch.Generator().manual_seed(self.settings.seed)
                noise = torch.rand(content.shape, generator=random).to(content.device)
                image = self._hidden(noise)
        self.image = _sized(image, size).clone(memory_format=torch.contiguous_format).requires_grad_()
        self.optimizer: torch.optim.Optimizer
        if self.settings.optimizer == "adam":
            self.optimizer = torch.optim.Adam([self.image], lr=self.recipe.rate)
        elif self.settings.optimizer == "annealed":
            self.optimizer = torch.optim.Adam([self.image], lr=self._annealed(), betas=FORGETFUL)
        else:
            self.optimizer = torch.optim.LBFGS([self.image], lr=1, max_iter=1, history_size=20)

    def _hidden(self, picture: Tensor) -> Tensor:
        return (picture - self.mean) / self.std if self.recipe.standardised else picture

    def _shown(self, image: Tensor) -> Tensor:
        return image * self.std + self.mean if self.recipe.standardised else image

    def _annealed(self) -> float:
        """The rate of the next step."""
        rate = ANNEALED / (float(self.std.mean()) if self.recipe.standardised else 1)
        return rate * (1 + math.cos(math.pi * self.done / self.steps)) / 2

    def advance(self) -> None:
        """One step."""
        if self.done >= (self.scale + 1) * self.steps // len(self.sizes):
            self._enter(self.scale + 1, self.image.detach())
        if self.settings.optimizer == "adam" and self.done >= 0.9 * self.steps:
            self.optimizer.param_groups[0]["lr"] = self.recipe.late
        if self.settings.optimizer == "annealed":
            self.optimizer.param_groups[0]["lr"] = self._annealed()
        found: dict[str, float] = {}

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            with torch.enable_grad():
                losses = self.objective(self.image, self._shown(self.image))
                total = torch.stack([*losses.values()]).sum()
                total.backward()
            found.update({name: float(loss.detach()) for name, loss in losses.items()}, total=float(total.detach()))
            return total

        self.optimizer.step(closure)  # type: ignore[arg-type]
        if self.recipe.clipped is not None and self.settings.optimizer == "adam" and self.done < 0.95 * self.steps:
            with torch.no_grad():
                self.image.clamp_(-self.recipe.clipped, self.recipe.clipped)
        self.losses.append({"step": self.done, "scale": self.scale, **found})
        self.done += 1

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """The weighted losses of the picture as it is, at the content's size."""
        objective = Objective(self.network, self.content, self.styles, self.settings)
        image = _sized(self.image.detach(), self.content.shape[2:])
        losses = {name: float(loss) for name, loss in objective(image, self._shown(image)).items()}
        return {**losses, "total": sum(losses.values())}

    @torch.no_grad()
    def picture(self) -> Tensor:
        """The picture as it is, (1, 3, H, W) in [0, 1], of the content's size."""
        shown = _sized(self._shown(self.image.detach()), self.content.shape[2:]).clamp(0, 1)
        return recoloured(shown, self.content) if self.settings.colours else shown

    def state(self) -> dict[str, Any]:
        return {
            "done": self.done, "scale": self.scale, "image": self.image.detach(), "optimizer": self.optimizer.state_dict(), "losses": self.losses,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        self._enter(int(state["scale"]), state["image"].to(self.content.device))
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.losses = int(state["done"]), list(state["losses"])


def sizes(content: Tensor, scales: int) -> list[tuple[int, int]]:
    """Heights and widths of the scales, the coarsest first; those whose short side would be under 64 pixels are left out."""
    height, width = content.shape[2:]
    found = [(round(height / 2**n), round(width / 2**n)) for n in range(scales)]
    return [size for size in found if size == found[0] or min(size) >= SMALLEST][::-1]


def recoloured(picture: Tensor, content: Tensor) -> Tensor:
    """The picture's light in the content's colours (Gatys et al. 2016, luminance only): (N, 3, H, W) in [0, 1]."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=picture.device).view(1, 3, 1, 1)
    light = (weights * picture).sum(1, keepdim=True)
    return (content + light - (weights * content).sum(1, keepdim=True)).clamp(0, 1)


def _sized(image: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(image.shape[2:]) == tuple(size):
        return image
    return F.interpolate(image, tuple(size), mode="bilinear", align_corners=False, antialias=True)
