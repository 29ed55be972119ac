"""The networks: a family a file, found by the file's name.

A file defines `build(shape, *, ...) -> nn.Module` whose keyword arguments, typed and with defaults, are the keys of an
experiment's `architecture`. Networks take float images in [0, 1], (N, C, H, W), and return logits (N, classes) or images
(N, C', H, W), or detections (N, K, 6) (`models.boxes`). A family that trains in another way than by one loss supplies `parts` and
`training_step` (see `tasks.learning.objective`).
"""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch import nn


@dataclass(frozen=True)
class Shape:
    """What a network is built for: channels in, classes or channels out, and the images' side in pixels.

    `extra`: numbers that a kind of task has beside these, such as the words of a vocabulary.
    """

    inputs: int
    outputs: int
    size: int
    extra: Mapping[str, int] = field(default_factory=dict)


@cache
def names() -> tuple[str, ...]:
    """The networks that there are: the files of this folder that define `build`."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if hasattr(module(m.name), "build"))


def _exists(name: str) -> bool:
    """Whether there is such a network, of which only its own file is imported."""
    return any(m.name == name for m in pkgutil.iter_modules(__path__)) and hasattr(module(name), "build")


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


@cache
def _arguments(name: str) -> type[BaseModel]:
    """The keyword arguments of a network's `build` as a model that checks them."""
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in inspect.signature(module(name).build).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def check(name: str, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The architecture with its defaults filled in. Raises ValueError for an unknown network, argument or value."""
    if not _exists(name):
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown network {name!r}; {hint}allowed: {', '.join(names())}")
    arguments = _arguments(name)
    try:
        return dict(arguments.model_validate(dict(architecture)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["architecture", *map(str, first["loc"])])
        allowed = f"{name} takes {', '.join(arguments.model_fields) or 'no arguments'}"
        raise ValueError(f"{key}: {first['msg']}; {allowed}") from None


def build(name: str, shape: Shape, architecture: Mapping[str, Any]) -> nn.Module:
    """Build a network by name. Raises ValueError as `check` does."""
    arguments = check(name, architecture)
    constructor: Callable[..., nn.Module] = module(name).build
    return constructor(shape, **arguments)


def takes_raw_pixels(name: str) -> bool:
    """Whether a classifier wants pixels as they are, where others get them standardised by the training images."""
    return getattr(module(name), "RAW_PIXELS", False)


def about(name: str) -> str:
    """The first line of the network's file, which says what it is."""
    return (module(name).__doc__ or name).strip().splitlines()[0]


def kind(name: str) -> str | None:
    """The one kind of task that the network is for, where its file names one (`KIND`); None for images in, numbers or images out."""
    return getattr(module(name), "KIND", None)


def trainer(name: str) -> str | None:
    """The module that trains the network in place of the one loop, where it has one (`TRAINER`)."""
    return getattr(module(name), "TRAINER", None)


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
