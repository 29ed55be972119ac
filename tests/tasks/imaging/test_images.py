import io

import numpy as np
import pytest
from PIL import Image

from tasks.imaging import images


def encoded(image: Image.Image, kind="PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


RED = Image.new("RGB", (8, 4), (200, 30, 40))


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (encoded(RED), (200, 30, 40)),
        (encoded(RED.quantize(4)), (200, 30, 40)),
        (encoded(RED.convert("L")), (82, 82, 82)),
        (encoded(Image.new("LA", (8, 4), (90, 255))), (90, 90, 90)),
        (encoded(Image.new("LA", (8, 4), (90, 0))), (255, 255, 255)),
        (encoded(Image.new("RGBA", (8, 4), (0, 0, 0, 128))), (127, 127, 127)),
        (encoded(Image.fromarray(np.full((4, 8), 40000, np.uint16))), (156, 156, 156)),
        (encoded(Image.new("1", (8, 4), 1)), (255, 255, 255)),
        (encoded(RED.convert("CMYK"), "JPEG", quality=100), (200, 30, 40)),
        (encoded(RED, "WEBP", lossless=True), (200, 30, 40)),
    ],
    ids=["rgb", "palette", "grey", "grey-alpha", "transparent", "half-transparent", "16-bit", "1-bit", "cmyk", "webp"],
)
def test_every_mode_becomes_rgb(content, colour):
    pixels = images.decode(content).pixels
    assert pixels.shape == (4, 8, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, :40] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(halves), "JPEG", exif=exif)
    decoded = images.decode(content, at_least=16)
    assert decoded.original == ((40, 80) if orientation > 4 else (80, 40))
    height, width = decoded.pixels.shape[:2]
    assert (height > width) == (orientation > 4)
    means = [decoded.pixels[: height // 4].mean(), decoded.pixels[:, : width // 4].mean()]
    white_first = {1: 1, 4: 1, 5: 0, 6: 0}
    axis = 0 if orientation > 4 else 1
    assert (means[axis] > 200) == (white_first.get(orientation) is not None)
    # An annotation of the pixels as stored keeps them so.
    assert images.decode(content, annotated=(80, 40)).original == (80, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_formats_agree_on_what_an_orientation_is(kind, orientation):
    """Pixels, the original's size, and pixels as stored, for those that are annotated so."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    content = encoded(Image.fromarray(pixels), kind, exif=exif, **options)
    turned = orientation > 4
    decoded = images.decode(content)
    assert decoded.original == ((6, 10) if turned else (10, 6))
    assert decoded.pixels.shape == ((10, 6, 3) if turned else (6, 10, 3))
    expected = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.transpose(1, 0, 2), 6: np.rot90(pixels, -1), 7: pixels[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(pixels),
    }[orientation]  # fmt: skip
    assert np.array_equal(decoded.pixels, expected)
    if turned:
        stored = images.decode(content, annotated=(10, 6))
        assert stored.original == (10, 6)
        assert np.array_equal(stored.pixels, pixels)


def test_a_reduced_jpeg_is_never_smaller_than_asked():
    for size in (10, 50, 64, 127, 128, 300):
        pixels = images.decode(encoded(Image.new("RGB", (641, 479)), "JPEG"), at_least=size).pixels
        assert min(pixels.shape[:2]) >= min(size, 479)
        fitted = images.decode(encoded(Image.new("RGB", (641, 479)), "JPEG"), at_least=size, fit=True).pixels
        assert max(fitted.shape[:2]) >= min(size, 641)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        encoded(RED, "JPEG")[:200],
        encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
    ],
)
def test_what_is_no_image_says_why(content):
    with pytest.raises(images.Undecodable, match=r"\w+"):
        images.decode(content)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    with pytest.raises(images.Undecodable, match="8 x 4 pixels"):
        images.decode(encoded(RED))


def test_fit_pads_right_and_bottom_and_scales_boxes():
    square, factors = images.fit(np.full((50, 100, 3), 7, np.uint8), 64, (200, 100))
    assert (square[:32] == 7).all()
    assert (square[32:] == images.PADDING).all()
    assert factors == (64 / 200, 32 / 100)


def test_random_squares_stay_inside_and_follow_the_generator():
    pixels = np.random.default_rng(0).integers(1, 256, (30, 50, 3), dtype=np.uint8)
    first = [images.random_square(pixels, 16, np.random.default_rng(i)) for i in range(20)]
    again = [images.random_square(pixels, 16, np.random.default_rng(i)) for i in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) == 20
    assert all(a.min() > 0 for a in first)


def test_colour_becomes_grey_for_networks_of_one_channel():
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    grey = images.as_channels(photo, 1)
    assert grey.shape == (20, 30, 1)
    assert np.abs(grey[..., 0] - photo @ np.array([0.299, 0.587, 0.114])).max() <= 0.51
    assert np.array_equal(images.as_channels(grey, 3), np.repeat(grey, 3, axis=2))
    assert images.as_channels(photo, 3) is photo
