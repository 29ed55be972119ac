"""Pictures of a class, by ascent of its score: the course's way, and one whose prior is what photographs are like.

Both are works (`tasks.inside.work`) on a batch, a class a picture; what becomes of one does not depend on the others beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.mobilenet import MEAN, STD
from tasks.inside.blur import blur

# How colours of ImageNet's photographs vary together: the square root of their covariance, of largest column 1 (Olah et al. 2017).
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
EVERY = 10  # steps between blurs
CHANNELS = 3


@dataclass(frozen=True)
class Settings:
    """`steps` of ascent on pictures of `size` pixels a side; `views`: of which a step takes the mean, of the better prior alone."""

    steps: int = 100
    size: int = 224
    views: int = 4
    seed: int = 0


class Course:
    """The course's: steps of normalised length, an L2 penalty, jitter, and a blur every ten steps (Simonyan et al. 2014, Yosinski et al. 2015)."""

    RATE, PENALTY, JITTER, SIGMA = 25.0, 1e-3, 16, 0.5

    def __init__(self, network: nn.Module, classes: Tensor, settings: Settings) -> None:
        self.network, self.classes, self.settings = network, classes, settings
        self.random = torch.Generator().manual_seed(settings.seed)
        self.mean, self.std = (torch.tensor(v, device=classes.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        noise = torch.randn(1, 3, settings.size, settings.size, generator=self.random).to(classes.device)
        self.image = noise.repeat(len(classes), 1, 1, 1)
        self.done, self.steps = 0, settings.steps

    def advance(self) -> None:
        """One step."""
        shift = torch.randint(0, self.JITTER + 1, (2,), generator=self.random).tolist()
        image = self.image.roll(shift, (2, 3)).requires_grad_()
        with torch.enable_grad():
            scores = self.network(image * self.std + self.mean).gather(1, self.classes[:, None]).sum()
            (slopes,) = torch.autograd.grad(scores - self.PENALTY * image.square().sum(), image)
        lengths = slopes.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
        moved = (image.detach() + self.RATE * slopes / lengths).roll([-s for s in shift], (2, 3))
        self.image = torch.maximum(torch.minimum(moved, (1 - self.mean) / self.std), -self.mean / self.std)
        if self.done % EVERY == 0:
            self.image = blur(self.image, self.SIGMA)
        self.done += 1

    def picture(self) -> Tensor:
        """The pictures as they are, (N, 3, H, W) in [0, 1]."""
        return (self.image * self.std + self.mean).clamp(0, 1)

    def state(self) -> dict[str, Any]:
        return {"done": self.done, "image": self.image, "random": self.random.get_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.done, self.image = int(state["done"]), state["image"].to(self.image.device)
        self.random.set_state(state["random"])


class Fourier:
    """Adam on a spectrum whose amplitudes fall as photographs' do, in colours that vary as theirs (Olah et al. 2017).

    A step looks at several views of the picture, each shifted, turned and enlarged at random: what only stands in one place of one size is
    no picture of a thing. The loss is the cross-entropy less a part of the score, which goes on rising where the class is certain.
    """

    RATE, SCORE = 0.05, 0.1
    SHIFT, TURN, ENLARGE = 0.1, 15.0, (0.8, 1.25)  # share of a side, degrees, factors

    def __init__(self, network: nn.Module, classes: Tensor, settings: Settings) -> None:
        self.network, self.classes, self.settings = network, classes, settings
        self.random = torch.Generator().manual_seed(settings.seed)
        size, device = settings.size, classes.device
        frequencies = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None])
        self.falls = (1 / frequencies.clamp(min=1 / size)).to(device)
        noise = 0.01 * torch.randn(1, 3, *frequencies.shape, 2, generator=self.random).to(device)
        self.spectrum = noise.repeat(len(classes), 1, 1, 1, 1).requires_grad_()
        colours = torch.tensor(COLOURS, device=device)
        self.colours = colours / colours.norm(dim=0).max()
        self.optimizer = torch.optim.Adam([self.spectrum], lr=self.RATE)
        self.done, self.steps = 0, settings.steps

    def _drawn(self) -> Tensor:
        size = self.settings.size
        waves = torch.view_as_complex(self.spectrum) * self.falls
        channels = torch.fft.irfft2(waves, s=(size, size), norm="ortho") / 4
        return torch.einsum("nchw,dc->ndhw", channels, self.colours).sigmoid()

    def advance(self) -> None:
        """One step."""
        pictures = self._drawn()
        self.optimizer.zero_grad()
        for _ in range(self.settings.views):
            seen = self.view(pictures)
            with torch.enable_grad():
                scores = self.network(seen)
                sure = F.cross_entropy(scores, self.classes, reduction="sum")
                loss = sure - self.SCORE * scores.gather(1, self.classes[:, None]).sum()
                (loss / self.settings.views).backward(retain_graph=True)
        self.optimizer.step()
        self.done += 1

    def view(self, pictures: Tensor) -> Tensor:
        """The pictures, all shifted, turned and enlarged in one random way; what comes in from outside is their mirror image."""
        shift = (torch.rand(2, generator=self.random) * 2 - 1) * self.SHIFT * 2
        angle = math.radians(float(torch.rand((), generator=self.random) * 2 - 1) * self.TURN)
        low, high = self.ENLARGE
        factor = low * (high / low) ** float(torch.rand((), generator=self.random))
        return moved(pictures, shift.tolist(), angle, factor)

    def picture(self) -> Tensor:
        """The pictures as they are, (N, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            return self._drawn()

    def state(self) -> dict[str, Any]:
        return {
            "done": self.done, "spectrum": self.spectrum.detach(), "optimizer": self.optimizer.state_dict(), "random": self.random.get_state(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        self.done = int(state["done"])
        with torch.no_grad():
            self.spectrum.copy_(state["spectrum"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])


PRIORS: dict[str, type[Course] | type[Fourier]] = {"course": Course, "fourier": Fourier}


def moved(images: Tensor, shift: list[float], angle: float, factor: float) -> Tensor:
    """Square images (N, C, H, H) that are shifted (x and y, in halves of a side), turned by radians, and enlarged; mirrored at their edges."""
    cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
    matrix = torch.tensor([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]], device=images.device, dtype=images.dtype)
    grid = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
