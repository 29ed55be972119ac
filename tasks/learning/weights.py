"""One way to save a network and one to load it: safetensors, with what is needed to build the network in the file's header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

import models
from models.layers import Standardize
from tasks.common.errors import Error
from tasks.common.files import atomic, sha256


class Configuration(BaseModel):
    """What a network is built from, and where its weights come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: str
    task: str
    network: str
    architecture: dict[str, Any]
    inputs: int
    outputs: int
    size: int
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None  # of the training images, where the network standardises them
    std: tuple[float, ...] | None = None
    threshold: float | None = None  # of a detector: the score of the best F1 on validation
    extra: dict[str, int] = {}  # numbers that the kind of task adds to the network's shape
    seed: int
    git_commit: str
    data_hash: str
    split: str | None = None  # what was learned from: train, or train+val; None where it was not recorded

    def build(self) -> nn.Module:
        """The network with fresh weights: float images in [0, 1] in, logits or images out."""
        network = models.build(self.network, models.Shape(self.inputs, self.outputs, self.size, self.extra), self.architecture)
        if self.mean is None or self.std is None:
            return network
        return nn.Sequential(Standardize(self.mean, self.std), network)


def save(
    path: Path, network: nn.Module, configuration: Configuration, card: Mapping[str, Any] | None = None, half: bool = False
) -> None:
    """Write uncompiled weights and their configuration; the file appears whole or not at all.

    `card`: what was measured of them, which `card` reads again. `half`: weights of two dimensions or more in fp16, for half the size.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        tensors = {name: t.half() if t.is_floating_point() and t.squeeze().ndim > 1 else t for name, t in tensors.items()}
    metadata = {"darkroom": configuration.model_dump_json(), **({"card": json.dumps(card, allow_nan=False)} if card else {})}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def configuration(path: Path) -> Configuration:
    """What a weights file's network is built from; no weights are read. Raises Error for a file that is not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            return Configuration.model_validate_json((file.metadata() or {})["darkroom"])
    except (FileNotFoundError, SafetensorError, KeyError, ValidationError) as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None


def card(path: Path) -> dict[str, Any]:
    """What was measured of promoted weights (`tasks.promote`); empty for others. Raises Error for a file that is not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("card", "{}"))
    except (FileNotFoundError, SafetensorError, ValueError) as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None
    return found


def verified(path: Path) -> Path:
    """`path`, a weights file of ours, once its content is known to be whole.

    Its SHA-256 is compared with that of the card beside it (NAME.json), which embedded weights have, and its values are finite.
    Raises Error where either is not so, and for a file that is not ours.
    """
    card = path.with_suffix(".json")
    try:
        if card.exists() and json.loads(card.read_bytes())["sha256"] != sha256(path):
            raise Error(
                f"{path}: damaged: its SHA-256 is not the one in {card.name}; take both again: git checkout -- {path.parent}"
            )
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                if not file.get_tensor(name).isfinite().all():
                    raise Error(f"{path}: {name} has values that are not finite; train again, or give other weights")
    except FileNotFoundError:
        raise Error(f"{path}: no such weights") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None
    return path


def load(path: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, Configuration]:
    """The network of a weights file, ready for evaluation, and its configuration. Raises Error for a file that is not ours."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            configuration = Configuration.model_validate_json((file.metadata() or {})["darkroom"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError:
        raise Error(
            f"{path}: no such weights; train the experiment first: dvc repro, or python -m tasks.train EXPERIMENT"
        ) from None
    except (SafetensorError, KeyError, ValidationError) as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None
    network = configuration.build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise Error(
            f"{path}: made by another version of models/{configuration.network}.py; take the matching weights (dvc checkout) or "
            f"train again: dvc repro train@{configuration.experiment}"
        ) from None
    return network.eval(), configuration
