"""What the training loop asks of a generator: its own step on images, and what its samples are like beside those of validation."""

import logging
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.generator import Generator
from tasks import kinds
from tasks.common.errors import Error
from tasks.datasets.data import Info
from tasks.generation.distances import frechet
from tasks.kinds.generate import data, features
from tasks.learning import augment, objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, autocast, to_bytes, to_float

# Images, or samples, that go through the network at once.
BATCH = 500
# A share of the images' own spread below which samples are called all but the same, and the share of its answers above which the
# discriminator is called always right.
NARROW, RIGHT = 0.2, 0.995
ROWS, COLUMNS = 4, 10
RIGHT_KEY = "discriminator_right"
log = logging.getLogger(__name__)


class Objective(objective.Objective):
    """A network's own loss; validation has `fid_random` and `spread` of its samples, and `elbo` where it has one.

    `loss` is the negative bound, in nats, or the Fréchet distance of networks without.
    """

    falling = kinds.falling("generate")

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        super().__init__(recipe, info, network, precision, predecessor)
        if predecessor is not None:
            try:
                network.begin_at(predecessor)  # type: ignore[operator]
            except ValueError as error:
                raise Error(str(error)) from None
        self.features = features.random_network(info.channels)
        self.right: list[Tensor] = []

    def begin(self, train: Examples, seed: int, epoch: int) -> None:
        self.right = []

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch of images (B, C, H, W) in [0, 1], black or white where the recipe says so, and their classes (B,)."""
        height, width = data.images.shape[1:3]
        geometry = augment.Geometry(self.recipe.augment, rows, (height, width), rng)
        images = to_float(geometry(data.images))
        if self.recipe.binarise:
            drawn = torch.from_numpy(rng.random(images.shape, np.float32)).to(images.device)
            images = (drawn < images).float()
        return images, data.targets[rows.to(data.device)]

    def step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        values = super().step(inputs, targets, updates)
        if RIGHT_KEY in values:
            self.right.append(values[RIGHT_KEY])
        return values

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        """The loss and the metrics. Says in the log where samples are all but the same, or a discriminator is never fooled."""
        network.eval()
        rows = torch.linspace(0, len(val) - 1, min(len(val), self.recipe.val_samples)).long().to(val.device)
        images, classes = to_float(val.images[rows]), val.targets[rows]
        fake = samples(network, self.recipe.val_samples, precision=self.precision)
        theirs, ours = (features.features(self.features, x.cpu()) for x in (fake, images))
        found = {"fid_random": frechet(theirs, ours), "spread": spread(theirs, ours)}
        if found["spread"] < NARROW:
            log.warning("samples are all but the same: their spread is %.3f of the images' own", found["spread"])
        if self.right and (right := torch.stack(self.right).mean().item()) > RIGHT:
            log.warning("the discriminator is right on %.1f %% of what it is shown: the generator learns little", 100 * right)
        if hasattr(network, "elbo"):
            binary = data.binary(val["bits"][rows], val.images.shape[1:])
            found["elbo"] = bounds(network, binary, classes).mean().item()
        return {"loss": -found["elbo"] if "elbo" in found else found["fid_random"], **found}

    def picture(self, network: nn.Module, val: Examples) -> np.ndarray:
        """Samples of the same noise in every epoch, four rows of ten."""
        network.eval()
        return grid(to_bytes(samples(network, ROWS * COLUMNS, precision=self.precision)), COLUMNS)


@torch.inference_mode()
def samples(network: nn.Module, count: int, seed: int = 0, condition: Tensor | None = None, precision: str = "fp32") -> Tensor:
    """`count` images of a generator, float32 (N, C, H, W) in [0, 1]; by default of each class in its turn.

    Raises Error where they are not finite.
    """
    assert isinstance(network, Generator)
    generator = torch.Generator().manual_seed(seed)
    asked = network.asked(count, condition)
    found = []
    for start in range(0, count, BATCH):
        classes = asked[start : start + BATCH] if asked is not None else None
        with autocast(network.device, precision):
            found.append(network.sample(min(BATCH, count - start), generator, classes).float())
    images = torch.cat(found)
    if not images.isfinite().all():
        raise Error("its samples are not finite: the training diverged; lower its learning rate, or set `clip`")
    return images.clamp_(0, 1)


def bounds(network: Any, binary: Tensor, classes: Tensor, seed: int = 0) -> Tensor:
    """The evidence lower bound of binary images (N, C, H, W), in nats, (N,)."""
    generator = torch.Generator().manual_seed(seed)
    found = [network.elbo(x, y, generator) for x, y in zip(binary.split(BATCH), classes.split(BATCH), strict=True)]
    return torch.cat(found)


def spread(fake: np.ndarray, real: np.ndarray) -> float:
    """The variance of samples' features (N, D), as a share of that of images' features: 0 where all samples are the same."""
    return float(fake.var(0).sum() / real.var(0).sum())


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures uint8 (N, H, W, C) in rows of `columns`, as one (H', W', C); what a last row lacks is black."""
    rows = math.ceil(len(pictures) / columns)
    filled = np.zeros((rows * columns, *pictures.shape[1:]), np.uint8)
    filled[: len(pictures)] = pictures
    return (
        filled.reshape(rows, columns, *pictures.shape[1:]).swapaxes(1, 2).reshape(rows * pictures.shape[1], -1, pictures.shape[3])
    )
