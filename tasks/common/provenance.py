"""What a result came from: commit, versions, device, memory."""

import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from tasks.common.errors import Error


@cache
def git_commit(root: Path) -> str:
    """The commit that is checked out, with `-dirty` where code differs from it, or `unknown` outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", "tasks", "models", ":(glob)**/params.yaml")
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in (
        "torch",
        "torchvision",
        "numpy",
        "scikit-image",
        "scikit-learn",
        "opencv-python-headless",
        "ultralytics-opencv-headless",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def device(name: str) -> torch.device:
    """The device that `auto` or a name stands for. Raises Error where the machine has no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    chosen = torch.device(name)
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(chosen.type, False):
        raise Error(f"device: this machine has no {name}; allowed here: auto, {', '.join(k for k, v in present.items() if v)}")
    return chosen


def precision(name: str, chosen: torch.device) -> str:
    """What a precision stands for on a device: `auto` is bf16 where the processor or GPU computes in it, otherwise fp32."""
    if name != "auto":
        return name
    if chosen.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if chosen.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"


def describe(chosen: torch.device) -> str:
    """The device's name as people know it."""
    if chosen.type == "cuda":
        return torch.cuda.get_device_name(chosen)
    if chosen.type == "cpu" and (info := Path("/proc/cpuinfo")).exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        return f"cpu ({names[0]})" if names else "cpu"
    return chosen.type


def peak_memory_mb(chosen: torch.device) -> float:
    """The largest memory of this process so far: resident, or allocated on the GPU."""
    if chosen.type == "cuda":
        return torch.cuda.max_memory_allocated(chosen) / 2**20
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
