"""What a user asks for, held against what there is, before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import carried
from tasks.apply import read
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import content, sha256
from tasks.imaging.images import Undecodable, as_channels, center_square
from tasks.inside import CLASSIFIERS, backbones
from tasks.inside.classes import FIVE, names
from tasks.learning import pretrained, weights
from tasks.learning.tensors import to_float
from tasks.params.params import known_to_user
from tasks.params.study import EMBEDDED, embedded_classifiers
from tasks.profile import Profile

# Pixels of a side that may be asked for. Below, networks have no features left; above, work takes minutes and gigabytes.
SMALLEST, LARGEST = 16, 1024
OTHER = "mobilenet_v2"


class Looked:
    """A classifier that is looked into, its configuration, and the hash of its weights."""

    def __init__(self, network: nn.Module, configuration: weights.Configuration, digest: str, device: torch.device) -> None:
        self.network, self.configuration, self.digest, self.device = network, configuration, digest, device
        self.names = names(configuration)

    def square(self, pixels: np.ndarray, size: int) -> np.ndarray:
        """The middle square as the network takes it, uint8 (size, size, C)."""
        return as_channels(center_square(pixels, size), self.configuration.inputs)

    def tensor(self, square: np.ndarray) -> Tensor:
        """uint8 (H, W, C) as (1, C, H, W) in [0, 1]."""
        return to_float(torch.tensor(square[None])).to(self.device)

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Logits (classes,) of one image (1, C, H, W) in [0, 1]."""
        return self.network(images)[0].cpu()

    def check_size(self, size: int) -> None:
        """Raises Error for images of a size that the network cannot take: one made for its own alone, or too small for its poolings."""
        try:
            self.scores(torch.zeros(1, self.configuration.inputs, size, size, device=self.device))
        except RuntimeError:
            raise Error(
                f"size: the network takes no images of {size} x {size} pixels; its own are of {self.configuration.size}"
            ) from None

    def top(self, logits: Tensor) -> dict[str, float]:
        """The five most probable classes and their probabilities."""
        shares = logits.softmax(0)
        return {self.names[i]: float(shares[i]) for i in shares.argsort(descending=True)[:FIVE].tolist()}


def classifiers(profile: Profile) -> list[str]:
    """The names of classifiers: experiments, weights that came along, and `mobilenet_v2`."""
    own = [name for name, experiment in profile.params.experiments.items() if profile.params.kind(experiment.data) == CLASSIFIERS]
    along = [
        name for name in embedded_classifiers() if weights.configuration(EMBEDDED / f"{name}.safetensors").task == CLASSIFIERS
    ]
    return sorted({*own, *along, OTHER})


def find_network(profile: Profile, name: str) -> Looked:
    """A classifier by the name of an experiment that is trained here, of weights that came along, or `mobilenet_v2`.

    Raises Error for an unknown name, an experiment that is not trained, and a network that is no classifier or has no gradients.
    """
    device = devices.choose(profile.params.device)
    path = EMBEDDED / f"{name}.safetensors"
    if name == OTHER and name not in profile.params.experiments:
        squeezenet = weights.configuration(EMBEDDED / "squeezenet.safetensors")
        changed: dict[str, Any] = {"experiment": OTHER, "network": OTHER, "architecture": {}, "mean": None, "std": None}
        digest = pretrained.SOURCES[OTHER].sha256
        return Looked(backbones.classifier(OTHER, device), squeezenet.model_copy(update=changed), digest, device)
    if name not in (known := classifiers(profile)):
        if name in profile.params.experiments or path.is_file():
            raise Error(
                f"{name}: no classifier, so it has no scores of classes; take squeezenet, or an experiment that classifies"
            )
        known_to_user(name, known, "network")
    if name in profile.params.experiments and (profile.weights(name).is_file() or not path.is_file()):
        path = profile.weights(name)
        if not path.is_file():
            raise Error(f"{path}: {name} is not trained; train it: dvc repro train@{name}; or take squeezenet")
    network, configuration = weights.load(carried.verified(path), device)
    network.requires_grad_(False)
    if not backbones.differentiable(network, configuration.inputs, configuration.size):
        raise Error(
            f"{name}: the network has no gradients, as nearest neighbours have none; take another network, such as squeezenet"
        )
    return Looked(network, configuration, sha256(path), device)


def check_out(out: Path, *inputs: Path, second: Path | None = None) -> None:
    """Raises Error for a name that is not that of a PNG file, and where a file that is written is one that is read.

    Written are `out`, the `second` picture of a look that has one, what was done, and the state of a work.
    """
    if out.suffix.lower() != ".png":
        raise Error(f"{out}: pictures are written as PNG; give a name that ends in .png")
    for written in (out, second or out, out.with_suffix(".json"), record(out)):
        if any(written.resolve() == path.resolve() for path in inputs):
            raise Error(f"{written}: would replace the photograph, which is read; give the picture another name than {out.name}")


def check_size(size: int, smallest: int = SMALLEST, largest: int = LARGEST) -> int:
    """Raises Error for a size out of bounds."""
    if not smallest <= size <= largest:
        raise Error(f"size: {size}, but allowed are {smallest} to {largest} pixels")
    return size


def photograph(path: Path) -> np.ndarray:
    """A photograph, uint8 (H, W, 3), as a viewer shows it. Raises Error for a file that is not there, cannot be read or is too small."""
    try:
        pixels, _ = read(content(path))
    except FileNotFoundError:
        raise Error(f"{path}: no such file") from None
    except Undecodable as error:
        raise Error(f"{path}: {error}") from None
    except OSError as error:
        raise Error(f"{path}: {error.strerror or error}") from None
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise Error(f"{path}: {width} x {height} pixels, but at least {SMALLEST} a side are needed")
    return pixels


def described(path: Path, pixels: np.ndarray) -> dict[str, Any]:
    """What is recorded of a photograph."""
    return {"file": path.name, "sha256": sha256(path), "width": pixels.shape[1], "height": pixels.shape[0]}


def beside(out: Path, what: str) -> Path:
    """The name of a look's second picture: name-what.png."""
    return out.with_name(f"{out.stem}-{what}.png")


def record(out: Path) -> Path:
    """Where the state of a work on `out` is kept until it is finished."""
    return out.with_name(f".{out.stem}.part")
