"""Small weights of CLIP: a file without the frozen backbone, which its package carries, and the whole network again."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from models.clip import Clip
from tasks.common.errors import Error
from tasks.learning import pretrained, weights
from tasks.params.recipe import Pretrained

KIND = "embed"
PREFIX = "backbone."
PACKAGED = Pretrained(source="package")


def split(network: nn.Module) -> nn.Module:
    """What of a network a small file holds: all but the backbone."""
    kept = nn.Module()
    for name, part in [*network.named_children(), *network.named_parameters(recurse=False)]:
        if f"{name}." != PREFIX:
            setattr(kept, name, part)
    return kept


def load(path: Path, device: torch.device | str = "cpu") -> tuple[Clip, weights.Configuration]:
    """The network of a weights file with or without its backbone, ready for evaluation.

    A backbone that is not in the file comes from its package, with the published hash. Raises Error for a file that is not ours or of another
    kind, and where the package is not installed.
    """
    configuration = weights.configuration(weights.verified(path))
    if configuration.task != KIND:
        raise Error(f"{path}: weights of the task {configuration.task}, which has no sentences; give those of {KIND}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None
    network = configuration.build()
    assert isinstance(network, Clip)
    if not any(name.startswith(PREFIX) for name in tensors):
        network.backbone.load_pretrained(pretrained.read(pretrained.SOURCES["mobilenet_v2"], PACKAGED))
        tensors |= {f"{PREFIX}{name}": tensor for name, tensor in network.backbone.state_dict().items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise Error(f"{path}: made by another version of models/{configuration.network}.py; take the matching weights") from None
    return network.to(device, memory_format=torch.channels_last).eval(), configuration  # type: ignore[call-overload]
