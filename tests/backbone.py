"""A MobileNetV2 whose features are of the size of trained ones: untrained norms make them too small for half precision."""

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tasks.common.files import sha256
from tasks.learning import pretrained


@cache
def tensors() -> dict[str, Tensor]:
    """Random weights in torchvision's layout; the norms have the statistics of a batch of noise."""
    from torchvision.models import mobilenet_v2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = mobilenet_v2(weights=None)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            network.features(torch.rand(16, 3, 64, 64) * 4 - 2)
    return network.state_dict()


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Write them as the weights that are known as MobileNetV2's, and return the `pretrained` block that takes them."""
    path = folder / "mobilenet.safetensors"
    save_file(tensors(), path)
    monkeypatch.setitem(pretrained.SOURCES, "mobilenet_v2", pretrained.Source(path.name, sha256(path), ""))
    return {"source": "path", "path": str(path)}
