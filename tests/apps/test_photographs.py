import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import photographs
from tasks.common.errors import Error
from tasks.kinds.translate import metrics
from tasks.profile import Profile


def test_previews_are_bounded_and_coloured() -> None:
    assert photographs.preview(np.zeros((3000, 10, 1), np.uint8)).shape == (photographs.PREVIEW, 4, 3)
    assert photographs.preview(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30, 3)


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
        photographs.read(path, "holiday.png")
    assert str(tmp_path) not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(photographs.MAX_BYTES + 2**20)
    with pytest.raises(Error, match="65 MiB, more than the 64 MiB"):
        photographs.read(tmp_path / "huge.png", "huge.png")


def test_an_upload_that_was_deleted_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(Error, match="choose it again"):
        photographs.read(tmp_path / "gone.png", "gone.png")


def test_the_examples_can_be_read() -> None:
    for name, path in photographs.examples().items():
        pixels, note = photographs.read(path, name)
        assert pixels.shape[2] == 3
        assert note == ""


def test_the_smallest_photograph_has_the_numbers_that_the_page_shows() -> None:
    assert photographs.MIN_SIDE == metrics.SSIM_WINDOW


def test_examples_of_validation_are_those_of_prepared_data(trained: Profile) -> None:
    found = photographs.validation(trained, "tiny-pairs", 3)
    assert [*found] == [0, 11, 23]
    assert all(pixels.shape == (16, 16, 3) for pixels in found.values())
    assert photographs.validation(trained, "data of another profile", 3) == {}
