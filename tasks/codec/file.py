"""The format of a compressed picture's file, version 1. Numbers are little-endian.

4 bytes   magic, 0x89 "DRC"
1         version
1         flags: 1 where there is an alpha channel
1         quality, 0 to 100
1         zero
8         the network: the first bytes of SHA-256 over every integer that decoding depends on
4, 4      width, height
4         CRC-32 of the coded integers
4, 4      bytes of the alpha channel (a grey PNG), bytes of the coded integers
...       both
4         CRC-32 of all before it
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps

from models.codec import MULTIPLE
from tasks.codec.pictures import Coded, Pictures
from tasks.common.errors import Error
from tasks.imaging import images

MAGIC, VERSION, SUFFIX = b"\x89DRC", 1, ".drc"
HEADER = struct.Struct("<4sBBBB8sIIIII")
CHECK = struct.Struct("<I")
HAS_ALPHA = 1
# Of sides that are rounded up to whole places of the hyperprior.
MOST_PIXELS = 1 << 25


def area(width: int, height: int) -> int:
    """The pixels that are coded: sides are multiples of 32."""
    return (width + -width % MULTIPLE) * (height + -height % MULTIPLE)


class Picture(NamedTuple):
    """Pixels, uint8 (H, W, 3), the way up that a viewer shows them, and their alpha channel, uint8 (H, W), where there is one."""

    pixels: np.ndarray
    alpha: np.ndarray | None = None


def read_picture(content: bytes) -> Picture:
    """Decode an image file of eight bits a channel with its alpha channel; `reading.read` takes deeper ones. Raises images.Undecodable."""
    upright = images.decode(content)
    height, width = upright.pixels.shape[:2]
    if area(width, height) > MOST_PIXELS:
        raise images.Undecodable(f"{width} x {height} pixels are more than {MOST_PIXELS:,}; make it smaller first")
    with PIL.Image.open(io.BytesIO(content), formats=images.FORMATS) as image:
        if not image.has_transparency_data:
            return Picture(upright.pixels)
        # What is behind is kept as it is, not blended with white.
        PIL.ImageOps.exif_transpose(image, in_place=True)
        whole = np.asarray(image.convert("RGBA"))
    return Picture(np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3]))


def compress(network: Pictures, picture: Picture, quality: int) -> bytes:
    """The content of a file. `quality`: 0 to 100."""
    height, width = picture.pixels.shape[:2]
    coded = network.encode(picture.pixels, quality)
    alpha = b"" if picture.alpha is None else _png(picture.alpha)
    flags = 0 if picture.alpha is None else HAS_ALPHA
    header = HEADER.pack(
        MAGIC, VERSION, flags, quality, 0, network.identity, width, height, coded.checksum, len(alpha), len(coded.content)
    )
    content = header + alpha + coded.content
    return content + CHECK.pack(zlib.crc32(content))


def identity(content: bytes) -> bytes | None:
    """What a file calls the network that it was written with; None for what is no such file."""
    if not content.startswith(MAGIC) or len(content) < HEADER.size:
        return None
    named: bytes = HEADER.unpack_from(content)[5]
    return named


def decompress(network: Pictures, content: bytes) -> Picture:
    """The picture in a file. Raises Error for what is no such file, is damaged, or belongs to another network or version."""
    if not content.startswith(MAGIC):
        raise Error("not a file of this codec; it begins otherwise")
    if len(content) < HEADER.size + CHECK.size:
        raise Error("cut off: it ends within its first bytes; take the whole file")
    _, version, flags, quality, zero, identity, width, height, checksum, alpha_size, size = HEADER.unpack_from(content)
    if version != VERSION:
        raise Error(f"version {version} of the format; this program reads version {VERSION}: take the one that wrote the file")
    if len(content) != HEADER.size + alpha_size + size + CHECK.size:
        raise Error("cut off, or longer than it says; take the whole file")
    if zlib.crc32(content[: -CHECK.size]) != CHECK.unpack(content[-CHECK.size :])[0]:
        raise Error("damaged: its checksum does not fit its content; take an intact copy")
    if flags & ~HAS_ALPHA or zero or quality > 100 or size % 4 or bool(flags & HAS_ALPHA) != bool(alpha_size):
        raise Error("its header says what no file of this version says")
    if not width * height or area(width, height) > MOST_PIXELS:
        raise Error(f"{width} x {height} pixels; allowed: 1 to {MOST_PIXELS:,}")
    if identity != network.identity:
        raise Error(f"written with the network {identity.hex()}, not with {network.identity.hex()}; give that one's weights")
    alpha = _alpha(content[HEADER.size : HEADER.size + alpha_size], (width, height)) if alpha_size else None
    coded = Coded(content[HEADER.size + alpha_size : -CHECK.size], checksum)
    try:
        return Picture(network.decode(coded, width, height, quality), alpha)
    # The coder asserts, where what it reads cannot have been written.
    except (ValueError, AssertionError):
        raise Error("damaged: its content is not what was written; take an intact copy") from None


def _png(alpha: np.ndarray) -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(alpha).save(content, "PNG", optimize=True)
    return content.getvalue()


def _alpha(content: bytes, size: tuple[int, int]) -> np.ndarray:
    try:
        with PIL.Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.size != size or image.mode != "L":
                raise Error("its alpha channel has another size than the picture")
            return np.asarray(image)
    except (OSError, SyntaxError, PIL.Image.DecompressionBombError):
        raise Error("damaged: its alpha channel does not decode; take an intact copy") from None


def to_png(picture: Picture) -> bytes:
    """The picture as a PNG file, with its alpha channel."""
    whole = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    content = io.BytesIO()
    PIL.Image.fromarray(whole).save(content, "PNG", compress_level=3)
    return content.getvalue()
