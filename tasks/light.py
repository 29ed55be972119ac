"""Small weights: a file without the parts of a network that its user does not need or that a package carries, and a network of it again."""

import copy
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from tasks.common.errors import Error
from tasks.learning import pretrained, weights
from tasks.params.recipe import Pretrained

# The frozen backbone of two encoders, which its package carries.
BACKBONE = "backbone"
PACKAGED = Pretrained(source="package")
# Of each kind of task, the parts that its small files lack. Only training needs a discriminator.
LEFT_OUT = {"embed": (BACKBONE,), "generate": ("discriminator",), "translate": ("discriminator",)}
# The parts of a codec that write files: weights without them open files, and no more.
WRITING = {"compress": ("analysis", "shrink", "shrunk")}


def split(network: nn.Module, parts: Iterable[str]) -> nn.Module:
    """What of a network a small file holds: all but the named parts."""
    kept = copy.deepcopy(network)
    for name in parts:
        if hasattr(kept, name):
            delattr(kept, name)
    return kept


def parts(path: Path) -> set[str]:
    """The parts of a network, by their names, that a weights file holds. Raises Error for a file that is not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (FileNotFoundError, SafetensorError) as error:
        raise Error(f"{path}: not a weights file of this project ({error})") from None


def opens_only(path: Path) -> bool:
    """Whether weights are those of a codec that opens files and writes none. Raises Error for a file that is not ours."""
    return not parts(path).issuperset(WRITING.get(weights.configuration(path).task, ()))


def load(path: Path, device: torch.device | str = "cpu", opening: bool = False) -> tuple[nn.Module, weights.Configuration]:
    """The network of a weights file, small or whole, ready for evaluation, and its configuration.

    A backbone that is not in the file comes from its package, with the published hash. Other parts that are not in it stay as they were
    drawn, and only training uses them; with `opening` also those that write files, which must not be used then. Raises Error for a file
    that is not ours, for a codec that opens files alone without `opening`, and where the package is not installed.
    """
    configuration = weights.configuration(path)
    if opens_only(path) and not opening:
        raise Error(f"{path}: weights of a codec of before, which open files and write none; give those of codec")
    absent = {*LEFT_OUT.get(configuration.task, ()), *WRITING.get(configuration.task, ())} - parts(path)
    network = configuration.build() if absent else None
    if network is None or not any(hasattr(network, name) for name in absent):
        return weights.load(path, device)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if BACKBONE in absent:
        network.backbone.load_pretrained(pretrained.read(pretrained.SOURCES["mobilenet_v2"], PACKAGED))  # type: ignore[operator, union-attr]
    tensors |= {name: tensor for name, tensor in network.state_dict().items() if name.split(".")[0] in absent}
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise Error(f"{path}: made by another version of models/{configuration.network}.py; take the matching weights") from None
    return network.to(device, memory_format=torch.channels_last).eval(), configuration  # type: ignore[call-overload]
