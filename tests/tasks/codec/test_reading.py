"""Photographs of users are read as they are shown, with what is transparent in them."""

import numpy as np
import PIL.Image
import pytest

from tasks.codec import reading
from tasks.imaging import images
from tests.tasks.codec.test_file import photograph, png

DEEP = np.array([[0, 1000, 30000], [40000, 65535, 30000]], np.uint16)


@pytest.mark.parametrize("turned", [False, True], ids=["as stored", "turned by EXIF"])
def test_sixteen_bits_of_grey_keep_their_pixels_and_their_transparent_value(turned: bool) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6 if turned else 1
    content = png(PIL.Image.fromarray(DEEP), transparency=30000, exif=exif)
    expected = np.rot90(DEEP, -1) if turned else DEEP
    found = reading.read(content)
    assert np.array_equal(found.pixels, np.repeat((expected >> 8).astype(np.uint8)[..., None], 3, 2))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, np.where(expected == 30000, 0, 255))
    # As all else here sees them.
    assert np.array_equal(found.pixels, images.decode(content).pixels)


def test_other_pictures_are_read_as_files_have_them() -> None:
    assert reading.read(png(PIL.Image.fromarray(DEEP))).alpha is None
    alpha = np.random.default_rng(0).integers(0, 256, (70, 53), np.uint8)
    found = reading.read(png(PIL.Image.fromarray(np.dstack([photograph(), alpha]))))
    assert np.array_equal(found.pixels, photograph())
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)
    grey = reading.read(png(PIL.Image.fromarray(photograph()[..., 0]), transparency=100))
    assert grey.alpha is not None
    assert np.array_equal(grey.alpha == 0, photograph()[..., 0] == 100)
    with pytest.raises(images.Undecodable):
        reading.read(b"no picture")
