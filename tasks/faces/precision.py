"""The precision that networks compute in: bf16 where the device has it."""

import logging
from functools import cache

import torch

logger = logging.getLogger(__name__)


def precision(name: str, device: torch.device) -> str:
    """bf16 or fp32, for `name`: auto, bf16 or fp32. `auto`, and bf16 with a warning, are fp32 on a device without bf16."""
    if name == "fp32" or has_bf16(device):
        return "fp32" if name == "fp32" else "bf16"
    if name == "bf16":
        _say(device.type)
    return "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself; elsewhere it is imitated, many times slower than fp32."""
    if device.type == "cpu":
        return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@cache
def _say(kind: str) -> None:
    """Once a process."""
    logger.warning("precision: this %s does not compute in bf16; fp32 is used, with slightly different numbers", kind)
