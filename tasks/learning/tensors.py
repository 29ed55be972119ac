"""Examples on a device, and images on their way into a network and out of it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

EVALUATION_BATCH = 500
# What fills up rows of examples that have fewer than others, such as boxes.
FILL = -1.0


@dataclass(frozen=True)
class Examples:
    """Tensors by name on one device, a row an example in each: `images`, uint8 (N, H, W, C), and what the kind of task adds."""

    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], device: torch.device | str) -> "Examples":
        """Tensors of a kind's arrays (`examples` of its `data.py`)."""
        with warnings.catch_warnings():
            # Ray's object store cannot be written to, and nothing writes.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return cls({name: torch.from_numpy(array).to(device) for name, array in arrays.items()})

    @property
    def images(self) -> Tensor:
        return self.tensors["images"]

    @property
    def targets(self) -> Tensor:
        return self.tensors["targets"]

    @property
    def device(self) -> torch.device:
        return next(iter(self.tensors.values())).device

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __add__(self, other: "Examples") -> "Examples":
        """Both, one after the other. Where rows of a tensor differ in length, the shorter ones are filled with -1."""
        return Examples({name: _joined(tensor, other[name]) for name, tensor in self.tensors.items()})


def _joined(first: Tensor, second: Tensor) -> Tensor:
    if first.ndim > 1 and first.shape[1] != second.shape[1] and first.shape[2:] == second.shape[2:]:
        most = max(first.shape[1], second.shape[1])
        behind = (0, 0) * (first.ndim - 2)
        first, second = (F.pad(t, (*behind, 0, most - t.shape[1]), value=FILL) for t in (first, second))
    return torch.cat([first, second])


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [0, 1], in channels_last memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def to_bytes(outputs: Tensor | np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1], clipped and rounded: uint8 (N, H, W, C)."""
    outputs = torch.as_tensor(outputs)
    return outputs.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 where the precision is that, fp32 otherwise."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@torch.inference_mode()
def predict(
    network: nn.Module,
    images: np.ndarray | Tensor,
    device: torch.device | str | None = None,
    batch_size: int = EVALUATION_BATCH,
    precision: str = "bf16",
) -> np.ndarray:
    """The network's outputs for uint8 images (N, H, W, C): float32 logits (N, K), or images (N, C', H, W) not yet clipped.

    The network is left in evaluation mode, on `device` (where it already is by default).
    """
    parameter = next(iter([*network.parameters(), *network.buffers()]), torch.empty(0))
    device = torch.device(device) if device is not None else parameter.device
    network.to(device).eval()
    images = torch.as_tensor(images)
    outputs = []
    for start in range(0, len(images), batch_size):
        with autocast(device, precision):
            outputs.append(network(to_float(images[start : start + batch_size].to(device))).float().cpu())
    return torch.cat(outputs).numpy()
