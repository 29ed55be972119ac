"""The codecs that ours is measured beside, as Pillow has them: files in memory, written and read back."""

import io
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from PIL import features

with suppress(ImportError):
    # Adds JPEG XL to Pillow; optional.
    import pillow_jxl  # noqa: F401

# Options and qualities of each codec. The qualities reach from below 0.2 to above 1.0 bits a pixel on Kodak.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"format": "JPEG", "subsampling": 2, "optimize": True, "progressive": True},
    "webp": {"format": "WEBP", "method": 6},
    "avif": {"format": "AVIF"},
    "jxl": {"format": "JXL"},
}
QUALITIES: Mapping[str, tuple[int, ...]] = {
    "jpeg": (3, 6, 10, 15, 25, 40, 55, 70, 80, 88),
    "webp": (0, 3, 10, 25, 45, 65, 80, 88, 92),
    "avif": (15, 25, 35, 45, 55, 65, 72, 80),
    "jxl": (5, 15, 30, 45, 60, 72, 80, 87),
}


class Made(NamedTuple):
    """A file's bytes, the picture read back from it, and the seconds that both took."""

    size: int
    picture: np.ndarray
    encode_seconds: float
    decode_seconds: float


def available() -> tuple[str, ...]:
    """The codecs that this Pillow has."""
    there = {"jpeg": True, "jxl": "JXL" in PIL.Image.SAVE}
    return tuple(name for name in OPTIONS if there.get(name) or (name not in there and features.check(name)))


def write(codec: str, pixels: np.ndarray, quality: int) -> bytes:
    """The content of a codec's file of a picture, uint8 (H, W, 3)."""
    content = io.BytesIO()
    PIL.Image.fromarray(pixels).save(content, quality=quality, **OPTIONS[codec])
    return content.getvalue()


def read(content: bytes) -> np.ndarray:
    """The picture in a file, uint8 (H, W, 3)."""
    with PIL.Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def made(encode: Callable[[], bytes], decode: Callable[[bytes], np.ndarray]) -> Made:
    """What becomes of a picture."""
    start = time.perf_counter()
    content = encode()
    between = time.perf_counter()
    picture = decode(content)
    return Made(len(content), picture, between - start, time.perf_counter() - between)


def of_size(codec: str, pixels: np.ndarray, size: int) -> tuple[bytes, int]:
    """The best file of at most `size` bytes, or the smallest of all, and its quality."""
    low, high = 0, 100
    best = write(codec, pixels, 0), 0
    while low <= high:
        quality = (low + high) // 2
        content = write(codec, pixels, quality)
        if len(content) <= size:
            best, low = (content, quality), quality + 1
        else:
            high = quality - 1
    return best
