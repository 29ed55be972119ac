"""Features that are kept are those that would be computed, and no others are taken for them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tasks.learning.tensors import to_float
from tasks.words import features


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8, 8)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.layer(x)


def images(count: int = 70) -> Tensor:
    return torch.randint(0, 256, (count, 16, 16, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def test_they_are_computed_once(tmp_path: Path) -> None:
    network, pixels = Frozen().eval(), images()
    found = features.kept(network, network, pixels, "fp32", folder=tmp_path)
    assert found.dtype == torch.float16
    with torch.inference_mode():
        expected = network(to_float(pixels))
    assert torch.allclose(found.float(), expected, atol=2e-3)
    calls = network.calls
    assert torch.equal(features.kept(network, network, pixels, "fp32", folder=tmp_path), found)
    assert network.calls == calls
    found[:] = 0
    assert features.kept(network, network, pixels, "fp32", folder=tmp_path).abs().sum() > 0, "what is kept is not written to"


def test_what_they_depend_on_makes_them_others(tmp_path: Path) -> None:
    network, pixels = Frozen().eval(), images(3)
    first = features.kept(network, network, pixels, "fp32", folder=tmp_path)
    mirrored = features.kept(network, network, pixels, "fp32", mirrored=True, folder=tmp_path)
    again = features.kept(network, network, pixels.flip(2), "fp32", folder=tmp_path)
    assert torch.allclose(mirrored.float(), again.float(), atol=2e-3)
    assert not torch.equal(first, mirrored)
    with torch.no_grad():
        network.layer.bias += 1
    other = features.kept(network, network, pixels, "fp32", folder=tmp_path)
    assert torch.allclose(other.float(), first.float() + 1, atol=4e-3)
    assert len([*tmp_path.glob("*.npy")]) == 4


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Frozen().eval()
    for count in (1, 2):
        features.kept(network, network, images(count), "fp32", folder=tmp_path)
    (first, *_) = sorted(tmp_path.glob("*.npy"), key=lambda path: path.stat().st_size)
    monkeypatch.setattr(features, "BOUND", 1)
    features.kept(network, network, images(3), "fp32", folder=tmp_path)
    assert not first.exists()
    assert len([*tmp_path.glob("*.npy")]) == 1
