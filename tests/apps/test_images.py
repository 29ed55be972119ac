import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from apps import images
from tasks import config
from tasks.common.errors import Error
from tasks.evaluation import metrics
from tasks.imaging import filters
from tasks.params.preparation import Target
from tasks.profile import Profile
from tests.apps.conftest import untrained_profile


@settings(max_examples=20, deadline=None)
@given(height=st.integers(11, 300), width=st.integers(11, 300), seed=st.integers(0, 99))
def test_numbers_in_tiles_are_those_of_the_whole_picture(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 256, (height, width, 1), np.uint8)
    output = np.clip(target + rng.normal(0, 1 + seed, target.shape), 0, 255).astype(np.uint8)
    expected = metrics.translate(output[None], target[None])
    assert images.measure(output, target) == pytest.approx(expected, rel=1e-9)


def test_equal_pictures_have_the_best_numbers() -> None:
    picture = np.zeros((20, 200, 1), np.uint8)
    assert images.measure(picture, picture) == {"psnr": 100.0, "ssim": pytest.approx(1), "l1": 0.0}


def test_the_networks_are_those_with_weights(trained: Profile, tmp_path: Path) -> None:
    assert images.choices(untrained_profile(tmp_path)) == {}
    found = images.choices(trained)
    assert list(found) == ["pairs"]
    said = found["pairs"].describe()
    for part in ("pairs, seed 0", "profile sample", "commit ", "trained on tiny-pairs (version "):
        assert part in said


def test_several_seeds_and_embedded_weights_are_offered_by_name(trained: Profile, tmp_path: Path) -> None:
    profile = untrained_profile(tmp_path)
    weights = trained.results("pairs") / "weights" / "seed-0.safetensors"
    embedded = tmp_path / "models" / "weights"
    for folder in (embedded, profile.results("pairs") / "weights"):
        folder.mkdir(parents=True)
    for seed in (10, 2):
        shutil.copy(weights, profile.results("pairs") / "weights" / f"seed-{seed}.safetensors")
    shutil.copy(weights, embedded / "tiny.safetensors")
    (embedded / "broken.safetensors").write_bytes(b"nothing")
    found = images.choices(profile)
    assert list(found) == ["pairs, seed 2", "pairs, seed 10", "tiny (embedded)"]
    assert "embedded in the code" in found["tiny (embedded)"].describe()


def test_the_filter_is_what_the_network_learned(tmp_path: Path, trained: Profile) -> None:
    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    target = {"filter": "random", "scale": "per-image", "seed": 7}
    changed = config.load(profile.folder, {"preprocess": {"tiny-pairs": {"target": target}}})
    learned = images.choices(changed)["pairs"].target
    assert learned == Target(filter="random", scale="per-image", seed=7)
    assert images.filter_label(learned) == "Random 3x3, scaled per image"


def test_weights_of_a_later_rebuild_are_read_again(trained: Profile, tmp_path: Path) -> None:
    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    choice = images.choices(profile)["pairs"]
    assert choice.load()[0] is choice.load()[0]
    choice.path.write_bytes(b"nothing")
    with pytest.raises(Error, match="not a weights file"):
        choice.load()
    choice.path.unlink()
    with pytest.raises(Error, match="are gone; load the page again"):
        choice.load()


def test_both_ways_keep_the_size(trained: Profile) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    target = Target(scale="per-image")
    result = images.apply(images.choices(trained)["pairs"], photograph, target)
    assert result.output.shape == result.target.shape == (37, 53, 1)
    assert np.array_equal(result.target, filters.target(photograph, target))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(result.png()))), result.output[..., 0])
    gap = np.abs(result.output.astype(int) - result.target)[..., 0]
    light = result.difference.astype(int).sum(axis=2)
    assert light[gap == gap.max()].min() > light[gap == 0].max(initial=0)


def test_previews_are_bounded_and_coloured() -> None:
    assert images.preview(np.zeros((3000, 10, 1), np.uint8)).shape == (images.PREVIEW, 4, 3)
    assert images.preview(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30, 3)


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


def noise() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no picture in a format that is read here"),
        (b"hello", "no picture in a format that is read here"),
        (noise()[:2000], "cannot be used: "),
        (png(10_000, 10_000, "1"), "decompression bomb"),
        (png(8_000, 8_000, "1"), "8000 x 8000 pixels, more than the 50 million"),
        (png(10, 40), "at least 11 on each side"),
    ],
    ids=["empty", "text", "truncated", "bomb", "large", "small"],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "upload.png"
    path.write_bytes(content)
    with pytest.raises(Error, match=rf"holiday\.png .*{reason}") as caught:
        images.read(path, "holiday.png")
    assert str(tmp_path) not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(images.MAX_BYTES + 2**20)
    with pytest.raises(Error, match="65 MiB, more than the 64 MiB"):
        images.read(tmp_path / "huge.png", "huge.png")


def test_an_upload_that_was_deleted_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(Error, match="choose it again"):
        images.read(tmp_path / "gone.png", "gone.png")


def test_the_examples_can_be_read() -> None:
    for name, path in images.examples().items():
        pixels, note = images.read(path, name)
        assert pixels.shape[2] == 3
        assert note == ""
