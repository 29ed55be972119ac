"""Weights of CLIP that others published in open_clip's layout: where they are had from, how they are known to be right, and how they are read.

open_clip writes the beginning of each file's SHA-256 into its name. Nothing is unpickled but tensors.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from models import open_clip
from tasks.common.errors import Error
from tasks.common.files import atomic, sha256

_RELEASE = "https://github.com/mlfoundations/open_clip/releases/download/v0.2-weights/{}"
MARK = "visual.conv1.weight"


@dataclass(frozen=True)
class Source:
    """Published weights. `sha256`: its published beginning; `quick`: learned with x * sigmoid(1.702 x) in place of GELU."""

    file: str
    sha256: str
    quick: bool

    @property
    def url(self) -> str:
        return _RELEASE.format(self.file)


# open_clip's `pretrained.py`, ViT-B-32; 600 MB each.
SOURCES = {
    "laion400m_e32": Source("vit_b_32-quickgelu-laion400m_e32-46683a32.pt", "46683a32", quick=True),
    "laion2b_e16": Source("vit_b_32-laion2b_e16-af8dbd0c.pth", "af8dbd0c", quick=False),
}


def folder() -> Path:
    """Where downloads are kept."""
    return Path(torch.hub.get_dir()) / "darkroom"


def fetch(name: str) -> Path:
    """The file of published weights, downloaded once. Raises Error where it cannot be had, and where its hash is not the published one."""
    source = SOURCES[name]
    path = folder() / source.file
    if path.is_file():
        return _right(path, source)
    with atomic(path) as temporary:
        try:
            torch.hub.download_url_to_file(source.url, str(temporary))
        except OSError as error:
            raise Error(f"{source.url}: {error}; download it where there is internet, and give the file with --weights") from None
        _right(temporary, source)
    return path


def _right(path: Path, source: Source) -> Path:
    if not (found := sha256(path)).startswith(source.sha256):
        raise Error(
            f"{path}: its SHA-256 begins with {found[:8]}, the published {source.file} with {source.sha256}; get it again"
        )
    return path


def check_named(path: Path) -> None:
    """Raises Error for a file that has the name of published weights and another content."""
    for source in SOURCES.values():
        if path.name == source.file:
            _right(path, source)


def is_quick(path: Path) -> bool:
    """Whether a file's name says that it was learned with the quick form of GELU, as open_clip's names and OpenAI's do."""
    return "quickgelu" in path.name.lower() or path.name in ("ViT-B-32.pt", "open_clip_openai.safetensors")


def is_open_clip(path: Path) -> bool:
    """Whether a file may have open_clip's layout: a checkpoint of torch, or tensors with its names."""
    if path.suffix != ".safetensors":
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return MARK in file.keys()  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise Error(f"{path}: not a file of tensors ({error})") from None


def read(path: Path, quick: bool) -> open_clip.OpenClip:
    """The network of a file. Raises Error for a file that cannot be read, is no published one's copy, or is of another layout."""
    check_named(path)
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else _checkpoint(path)
        return open_clip.from_tensors(tensors, quick)
    except ValueError as error:
        raise Error(f"{path}: {error}") from None
    except (
        SafetensorError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        AttributeError,
        TypeError,
        OSError,
    ) as error:
        raise Error(f"{path}: cannot be read as weights ({str(error).splitlines()[0][:200]})") from None


def _checkpoint(path: Path) -> dict[str, Tensor]:
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    found = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {str(name): tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}
