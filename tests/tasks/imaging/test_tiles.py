import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import models
from tasks.common.errors import Error
from tasks.imaging.tiles import filter_image, tiles
from tasks.kinds.translate import Target, filters
from tasks.learning.tensors import to_bytes, to_float

SIDES = st.integers(1, 50)


class Spread(nn.Module):
    """A network with random weights whose outputs fill the range of grey levels, so that nothing hides in black."""

    def __init__(self, name: str, **architecture: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = models.build(name, models.Shape(3, 1, 64), architecture).eval()
        for parameter in self.network.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter)
        self.context, self.multiple = self.network.context, self.network.multiple
        with torch.inference_mode():
            self.std, self.mean = torch.std_mean(self.network(to_float(torch.from_numpy(noise(64, 64))[None])))

    def forward(self, x: Tensor) -> Tensor:
        return (2 * (self.network(x) - self.mean) / self.std).sigmoid()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def directly(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """In one go, with NumPy's own reflection, far more of it than is needed."""
    height, width = image.shape[:2]
    margin = 64
    padded = np.pad(image, ((margin, margin + -height % 4), (margin, margin + -width % 4), (0, 0)), "symmetric")
    with torch.inference_mode():
        whole = to_bytes(network(to_float(torch.from_numpy(padded)[None])))[0]
    return whole[margin : margin + height, margin : margin + width]


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


NETWORKS = {
    "autoencoder": {"widths": [4, 4]},
    "energy": {"filters": 2},
    "pix2pix": {"width": 4, "depth": 2},
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Spread:
    return Spread(request.param, **NETWORKS[request.param])


@given(height=SIDES, width=SIDES, memory_pixels=st.sampled_from([1_000, 3_000, 1 << 20]))
@settings(max_examples=20, deadline=None)
def test_tiled_and_whole_agree_at_every_size(network: Spread, height: int, width: int, memory_pixels: int) -> None:
    image = noise(height, width)
    filtered = filter_image(network, image, memory_pixels)
    assert filtered.shape == (height, width, 1)
    assert filtered.dtype == np.uint8
    assert difference(filtered, directly(network, image)) <= 1


def test_a_seam_would_be_seen() -> None:
    network, image = Spread("autoencoder", **NETWORKS["autoencoder"]), noise(70, 70)
    assert directly(network, image).std() > 30
    network.context -= 1
    assert difference(filter_image(network, image, 1_000), directly(network, image)) > 1


@given(height=SIDES, width=SIDES)
@settings(max_examples=20, deadline=None)
def test_the_border_is_reflected_as_the_targets_have_it(height: int, width: int) -> None:
    analytic = models.build("analytic", models.Shape(3, 1, 64), {}).eval()
    image = noise(height, width)
    assert difference(filter_image(analytic, image, 2_000), filters.target(image, Target())) <= 1


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    margin=st.integers(0, 20),
    multiple=st.sampled_from([1, 4, 16]),
    memory_pixels=st.integers(1, 1 << 16),
)
@settings(deadline=None)
def test_tiles_cover_an_image_once_within_the_bound(
    height: int, width: int, margin: int, multiple: int, memory_pixels: int
) -> None:
    margin = -(-margin // multiple) * multiple
    seen = np.zeros((height, width), bool)
    for tile in tiles(height, width, margin, multiple, max(memory_pixels, height * width // 100)):
        part = seen[tile.top : tile.bottom, tile.left : tile.right]
        assert part.size
        assert not part.any()
        part[:] = True
        assert tile.top % multiple == tile.left % multiple == 0
        sides = [-(-side // multiple) * multiple + 2 * margin for side in (tile.bottom - tile.top, tile.right - tile.left)]
        least = 3 * max(margin, multiple)
        assert sides[0] * sides[1] <= max(memory_pixels, height * width // 100) or min(sides) <= least
    assert seen.all()


def test_each_tile_reports_its_share() -> None:
    shares: list[float] = []
    filter_image(Spread("energy"), noise(100, 50), 2_000, shares.append)
    assert len(shares) > 3
    assert sum(shares) == pytest.approx(1)


def test_outputs_that_are_not_finite_are_refused() -> None:
    network = models.build("energy", models.Shape(3, 1, 64), {}).eval()
    nn.init.constant_(network.mix.weight, float("nan"))
    with pytest.raises(Error, match="not finite"):
        filter_image(network, noise(5, 5))


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)])
def test_what_is_no_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least a pixel"):
        filter_image(models.build("energy", models.Shape(3, 1, 64), {}), image)


LARGE = """
import numpy as np, models
from tasks.imaging.tiles import filter_image
network = models.build({name!r}, models.Shape(3, 1, 64), {{}}).eval()
image = np.zeros((4000, 6000, 3), np.uint8)
image[:] = np.arange(6000, dtype=np.uint16)[:, None] % 256
assert filter_image(network, image).shape == (4000, 6000, 1)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
"""


# The kernel's own count of this one process: `ru_maxrss` begins at what the tests' process had when it started this one.
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("name", ["autoencoder", "energy", "pix2pix"])
def test_a_photograph_of_24_megapixels_takes_less_than_two_gigabytes(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", LARGE.format(name=name)], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2 << 30
