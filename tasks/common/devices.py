"""The processor or GPU that networks run on: which one, what it is called, its precision, the memory taken."""

import logging
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
import torch

from tasks.common.errors import Error

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

Precision = Literal["bf16", "fp32"]


def choose(name: str) -> torch.device:
    """The device that a name stands for; `auto` is a CUDA GPU where there is one, else the processor.

    Apple's GPU has to be asked for as `mps`: it has no float64, which some networks need. Raises Error where the machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(name)
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(chosen.type, False):
        raise Error(f"device: this machine has no {name}; allowed here: auto, {', '.join(k for k, v in present.items() if v)}")
    if chosen.type == "cuda":
        # By default cuDNN multiplies in TF32, of 10 bits, what is said to be in fp32.
        torch.backends.cudnn.allow_tf32 = False
    return chosen


def precision(name: str, device: torch.device, emulated: bool = True) -> Precision:
    """The precision that a name stands for; `auto` is bf16 where the device computes in it, else fp32.

    A processor without bf16 emulates it many times more slowly where it is asked for by name. `emulated`: whether it may; otherwise fp32
    takes its place, and a warning says so once a process. Raises Error for another name.
    """
    if name not in ("auto", "bf16", "fp32"):
        raise Error(f"precision: {name}; allowed: auto, bf16, fp32")
    if name == "fp32":
        return "fp32"
    if has_bf16(device) or (name == "bf16" and emulated):
        return "bf16"
    if name == "bf16":
        _say_fp32(device.type)
    return "fp32"


@cache
def _say_fp32(kind: str) -> None:
    logger.warning("precision: this %s does not compute in bf16; fp32 is used, with slightly different numbers", kind)


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself.

    oneDNN also takes bf16 on an AVX-512 processor without such instructions, where it is four times as slow as fp32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and torch.backends.mkldnn.is_available():
        able = torch.cpu.get_capabilities()
        if able.get("architecture") == "x86_64" and not able.get("avx512_bf16"):
            return False
        try:
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        except (AttributeError, RuntimeError):  # not every build has the operator
            return False
    return False


def describe(chosen: torch.device) -> str:
    """The device's name as people know it."""
    if chosen.type == "cuda":
        return torch.cuda.get_device_name(chosen)
    if chosen.type == "cpu" and (info := Path("/proc/cpuinfo")).exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        return f"cpu ({names[0]})" if names else "cpu"
    return chosen.type


def peak_memory_mb(chosen: torch.device) -> float:
    """The largest memory of this process so far in MB: resident, or allocated on the GPU."""
    if chosen.type == "cuda":
        return torch.cuda.max_memory_allocated(chosen) / 2**20
    if resource is None:
        return psutil.Process().memory_info().peak_wset / 2**20
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
