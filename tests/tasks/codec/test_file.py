"""Files are opened bit for bit, on another processor too; what is damaged, foreign or absurd is a sentence."""

import hashlib
import io
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.common.errors import Error
from tasks.imaging import images
from tasks.learning import weights
from tests.conftest import ROOT
from tests.models.test_codec import SMALL, small


@pytest.fixture(scope="module")
def network() -> Pictures:
    return Pictures(small())


def photograph(height: int = 70, width: int = 53) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + y / 14 + c) + 0.4 * np.sin(x * y / 60) for c in range(3)], 2)
    return (127 + 80 * waves + np.random.default_rng(0).normal(0, 4, waves.shape)).clip(0, 255).astype(np.uint8)


def written(network: Pictures, picture: file.Picture | None = None) -> bytes:
    return file.compress(network, picture or file.Picture(photograph()), 60)


@pytest.mark.parametrize(
    "pixels",
    [
        photograph(),
        photograph(1, 1),
        photograph(1, 700),
        photograph(600, 40),
        np.zeros((40, 40, 3), np.uint8),
        np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8),
        np.repeat(np.linspace(0, 255, 90).astype(np.uint8)[None, :, None], 3, 2).repeat(33, 0),
    ],
    ids=["photograph", "1x1", "700x1", "strips", "black", "noise", "gradient"],
)
def test_a_picture_comes_back_at_its_size_and_better_with_more_bits(network: Pictures, pixels: np.ndarray) -> None:
    errors, sizes = [], []
    for quality in (0, 100):
        content = file.compress(network, file.Picture(pixels), quality)
        found = file.decompress(network, content).pixels
        assert found.shape == pixels.shape
        errors.append(np.abs(found.astype(int) - pixels).mean())
        sizes.append(len(content))
    assert errors[1] <= errors[0] + 1, "an untrained network is a grey level off where all is black"
    assert errors[1] < 12
    assert sizes[1] >= sizes[0]


def test_strips_have_no_seams(network: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph(300, 40)
    whole = network._analyse(pixels, 50)
    monkeypatch.setattr("tasks.codec.pictures.TILE", 64)
    strips = network._analyse(pixels, 50)
    # Another order of sums may round a coefficient otherwise.
    assert all((a != b).float().mean() < 1e-3 for a, b in zip(whole, strips, strict=True))


def test_a_picture_of_several_tiles_has_no_seams(network: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same integers, tiles make the same picture."""
    pixels = photograph(150, 170)
    found = []
    for tile in (512, 64):
        monkeypatch.setattr("tasks.codec.thrift.EAGER", 0.0)
        monkeypatch.setattr("tasks.codec.pictures.TILE", tile)
        found.append(network.decode(network.encode(pixels, 70), 170, 150, 70))
    # Another order of sums may round a coefficient otherwise.
    assert (found[0] != found[1]).mean() < 1e-3


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_the_integers_give_the_picture_that_the_network_gives(
    network: Pictures, quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.codec.thrift.EAGER", 0.0)
    pixels = photograph()
    found = file.decompress(network, file.compress(network, file.Picture(pixels), quality)).pixels
    with torch.inference_mode():
        outputs = network.network(torch.tensor(pixels).permute(2, 0, 1)[None] / 255, quality / 20)
    expected = (outputs[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    assert np.abs(found - expected).max() <= 2


def save(path: Path) -> None:
    """The small network's weights as a file."""
    configuration = weights.Configuration(
        experiment="codec", task="compress", network="codec", architecture=SMALL, inputs=3, outputs=3, size=64, seed=0, git_commit="", data_hash="",
    )  # fmt: skip
    weights.save(path, small(), configuration)


OTHER = """
import hashlib, sys, torch
from pathlib import Path
from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.codec.library import load
from tests.tasks.codec.test_file import photograph
torch.set_num_threads(int(sys.argv[2]))
path = Path(sys.argv[1])
network = load(path.with_name("small.safetensors"), sys.argv[3])
if not path.exists():
    path.write_bytes(file.compress(network, file.Picture(photograph(150, 130)), 60))
print(hashlib.sha256(file.decompress(network, path.read_bytes()).pixels.tobytes()).hexdigest())
"""


def elsewhere(path: Path, threads: int, precision: str, **environment: str) -> str:
    """The hash of the picture in a file, which another process opens; where there is no file yet, it writes it."""
    code = OTHER
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(threads), precision],
        cwd=ROOT, env=os.environ | environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_file_is_opened_to_the_same_bits_on_another_processor(tmp_path: Path) -> None:
    """Written in bf16 with all that the processor has, opened as AVX2 and AVX, by one thread and two."""
    path = tmp_path / "a.drc"
    save(tmp_path / "small.safetensors")
    expected = elsewhere(path, 2, "bf16")
    for threads, isa in ((1, "AVX2"), (2, "AVX2")):
        # What oneDNN, MKL and PyTorch's own kernels take.
        limits = {"ONEDNN_MAX_CPU_ISA": isa, "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": isa}
        assert elsewhere(path, threads, "fp32", **limits) == expected
    assert elsewhere(path, 1, "fp32", ATEN_CPU_CAPABILITY="default") == expected


def test_every_byte_counts(network: Pictures) -> None:
    content = written(network)
    before = file.decompress(network, content).pixels
    assert (
        hashlib.sha256(before.tobytes()).digest() == hashlib.sha256(file.decompress(network, content).pixels.tobytes()).digest()
    )
    for place in [*range(file.HEADER.size), *range(file.HEADER.size, len(content), 41), len(content) - 1]:
        altered = bytearray(content)
        altered[place] ^= 0x10
        with pytest.raises(Error):
            file.decompress(network, bytes(altered))
    for length in range(0, len(content), 37):
        with pytest.raises(Error):
            file.decompress(network, content[:length])
    with pytest.raises(Error, match="longer than it says"):
        file.decompress(network, content + b"\0")


def altered(content: bytes, place: int, value: bytes) -> bytes:
    """A file that says something else, with a checksum that fits."""
    changed = content[:place] + value + content[place + len(value) : -4]
    return changed + zlib.crc32(changed).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (0, b"\x88", "begins otherwise"),
        (4, b"\x02", "version 2 of the format; this program reads version 1"),
        (5, b"\x08", "says what no file"),
        (6, b"\xff", "says what no file"),
        (8, b"\0" * 8, "written with the network 0000000000000000, not with"),
        (16, (1 << 20).to_bytes(4, "little") * 2, "1048576 x 1048576 pixels; allowed"),
        (16, b"\0" * 4, "0 x 70 pixels; allowed"),
        (16, (54).to_bytes(4, "little"), None),
        (16, (4000).to_bytes(4, "little"), "not what was written"),
        (24, b"\0" * 4, "not what was written"),
    ],
)
def test_what_is_foreign_or_absurd_is_a_sentence(network: Pictures, place: int, value: bytes, says: str | None) -> None:
    content = altered(written(network), place, value)
    if says is None:
        # A width that is rounded up to the same blocks is not told apart, were it not for the checksum of the file.
        assert file.decompress(network, content).pixels.shape == (70, 54, 3)
        return
    with pytest.raises(Error, match=says):
        file.decompress(network, content)


def png(picture: PIL.Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", **options)
    return content.getvalue()


def test_the_alpha_channel_is_kept(network: Pictures) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (70, 53), np.uint8)
    picture = file.read_picture(png(PIL.Image.fromarray(np.dstack([photograph(), alpha]))))
    found = file.decompress(network, file.compress(network, picture, 80))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)
    with PIL.Image.open(io.BytesIO(file.to_png(found))) as opened:
        assert opened.mode == "RGBA"


def test_a_photograph_stands_the_way_up_that_viewers_show_it() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture = file.read_picture(png(PIL.Image.fromarray(photograph()), exif=exif))
    assert np.array_equal(picture.pixels, np.rot90(photograph(), -1))


def test_grey_pictures_and_ones_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = png(PIL.Image.fromarray(photograph()[..., 0]))
    assert file.read_picture(grey).pixels.shape == (70, 53, 3)
    monkeypatch.setattr(file, "MOST_PIXELS", 100)
    with pytest.raises(images.Undecodable, match="70 pixels are more than 100"):
        file.read_picture(grey)
