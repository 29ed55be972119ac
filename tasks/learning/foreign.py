"""Weights out of checkpoints that others pickled, without running anything that is in them.

Ultralytics saves whole objects. PyTorch's `weights_only` unpickler reads them with an inert stand-in for each class of a list of
modules; their tensors are then found by their names. A checkpoint that names anything else is refused.
"""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.common.errors import Error

# What checkpoints of detectors name: layers, their containers, and settings of the training. Methods are pickled as `getattr` of an
# object and a name. Nothing of that name is called: its stand-in takes whatever it is given.
ALLOWED = ("ultralytics.", "torch.nn.modules.", "models.", "pathlib.")
ALLOWED_NAMES = ("builtins.getattr",)
ADVICE = "take a .safetensors file, or a checkpoint of a YOLOv8 detector as ultralytics saves it"


class _Inert:
    """Takes any arguments and does nothing with them."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of an ultralytics checkpoint's network (its average, where it has one) by their names, in fp32.

    Raises Error for a file that is no such checkpoint, and for one that names what a network has no use for.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if strange := [name for name in names if name not in ALLOWED_NAMES and not name.startswith(ALLOWED)]:
            raise Error(f"{path}: refused, since it names {', '.join(strange)}, which no network's weights need; {ADVICE}")
        inert: list[Any] = [(type("Inert", (_Inert,), {}), name) for name in names]
        with torch.serialization.safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise Error(f"{path}: no such weights") from None
    # Damaged files and other formats fail in many ways.
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise Error(f"{path}: cannot be read as a checkpoint ({str(error).splitlines()[0][:200]}); {ADVICE}") from None
    network = (content.get("ema") or content.get("model")) if isinstance(content, Mapping) else None
    if not isinstance(network, _Inert):
        raise Error(f"{path}: holds no network; {ADVICE}")
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in _tensors(network)}
    if not tensors:
        raise Error(f"{path}: its network has no weights; {ADVICE}")
    return tensors


def _tensors(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a module's stand-in, as `state_dict` gives them."""
    parts = vars(module)
    passing = parts.get("_non_persistent_buffers_set") or ()
    for name, tensor in {**parts.get("_parameters", {}), **parts.get("_buffers", {})}.items():
        if isinstance(tensor, Tensor) and name not in passing:
            yield prefix + name, tensor
    for name, inner in parts.get("_modules", {}).items():
        if isinstance(inner, _Inert):
            yield from _tensors(inner, f"{prefix}{name}.")
