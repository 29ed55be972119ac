"""From the bytes of an image file to pixels of the wanted size."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tasks.common.files import atomic

# What may be opened: no format that runs another program or a script.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 89_478_485  # Pillow's own limit, above which it suspects a decompression bomb
# What undoes each EXIF orientation.
TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
PADDING = 114  # the grey that detectors are used to


class Undecodable(Exception):
    """An image that cannot be used, and why."""


def decode(content: bytes, at_least: int | None = None, fit: bool = False, annotated: tuple[int, int] | None = None) -> "Decoded":
    """Decode to uint8 (H, W, 3), RGB, the way up that a viewer shows it. Raises Undecodable.

    A JPEG is decoded at an eighth, a quarter or half of its scale where that leaves its short side (`fit`: its long side) at
    least `at_least` pixels: the transform is cut off instead of computed and averaged away. Sixteen bits a channel keep the upper
    eight; what is transparent becomes white. An image whose annotated (width, height) is as stored is not turned by EXIF.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Undecodable(f"{width} x {height} pixels are more than {MAX_PIXELS:,}: a decompression bomb?")
            orientation = image.getexif().get(0x0112, 1)
            # Pillow turns a TIFF itself: what it says is its size is that of the turned image.
            itself = image.format == "TIFF"
            other = (height, width) if orientation in (5, 6, 7, 8) else (width, height)
            original, stored = ((width, height), other) if itself else (other, (width, height))
            upright = annotated is None or annotated == original or annotated != stored
            if at_least:
                # Pillow keeps both sides at or above what is asked for.
                side = max(width, height) if fit else min(width, height)
                image.draft(None, (-(-width * at_least // side), -(-height * at_least // side)))
            image.load()
            shown: Image.Image = image
            if upright:
                ImageOps.exif_transpose(image, in_place=True)
            elif itself and orientation in TURNED_BACK:
                shown = image.transpose(TURNED_BACK[orientation])
            return Decoded(_rgb(shown), original if upright else stored)
    except Undecodable:
        raise
    except UnidentifiedImageError:
        raise Undecodable(f"no picture in a format that is read here ({', '.join(FORMATS)})") from None
    # Decoders fail on damaged files with nearly any exception.
    except Exception as error:
        # The address of a buffer would make each run's list another.
        raise Undecodable(re.sub(r"<_io\.BytesIO object at \w+>", "the file", str(error) or type(error).__name__)[:200]) from None


class Decoded:
    """Pixels, uint8 (H, W, C), possibly at a reduced scale, and the original's (width, height)."""

    def __init__(self, pixels: np.ndarray, original: tuple[int, int] | None = None) -> None:
        self.pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        self.original = original or (pixels.shape[1], pixels.shape[0])


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        # Sixteen bits in files that say so, or in the 32-bit mode that some of them are opened in.
        if deep.min() < 0 or deep.max() > 65535:
            raise Undecodable(f"mode {image.mode} with values beyond 16 bits")
        grey = (deep >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise Undecodable("floating-point pixels have no known range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Mean over areas to shrink, linear to enlarge. uint8 (H, W, C) to (height, width, C)."""
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.reshape(height, width, pixels.shape[2])


def center_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle, resized to (size, size, C)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return resize(pixels[y : y + side, x : x + side], size, size)


def random_square(pixels: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """A square of random place and side, half of the short side to all of it, resized to (size, size, C)."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    side = int(random.integers((short + 1) // 2, short + 1))
    y, x = int(random.integers(0, height - side + 1)), int(random.integers(0, width - side + 1))
    return resize(pixels[y : y + side, x : x + side], size, size)


def fit(pixels: np.ndarray, size: int, original: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
    """Scale into a square, padded at the right and the bottom: (size, size, C), and the factors from original x and y."""
    width, height = original
    scale = size / max(width, height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    square = np.full((size, size, pixels.shape[2]), PADDING, np.uint8)
    square[:h, :w] = resize(pixels, w, h)
    return square, (w / width, h / height)


def as_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) as uint8 (H, W, `channels`), in RGB order: colour becomes grey by its luma."""
    if image.shape[2] == channels:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if channels == 1 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 1 or 3) as PNG; the file appears whole or not at all."""
    pixels = picture[..., 0] if picture.shape[2] == 1 else picture
    with atomic(path) as temporary:
        # Photographs are hardly smaller at Pillow's default level, which takes three times as long.
        Image.fromarray(pixels).save(temporary, "PNG", compress_level=3)
