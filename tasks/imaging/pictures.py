"""Pictures inside a page: as data URIs, and small, since a page with a hundred of them has to open on a phone."""

import base64
import io
from pathlib import Path

from PIL import Image, ImageSequence

from tasks.common.files import atomic

WIDTH = 900  # pixels: about what a page shows
FRAMES = 20  # of an animation


def inline(content: bytes, photograph: bool = False) -> str:
    """A data URI of a picture's file, as WebP: lines and text to the pixel, photographs with losses that nobody sees.

    What is transparent stays so: figures are drawn for light pages and for dark ones. Of an animation only every so many frames are kept, each shown so much longer.
    """
    with Image.open(io.BytesIO(content)) as picture:
        if getattr(picture, "is_animated", False):
            return uri(_animation(picture))
        shown = _coarse(picture.convert("RGBA")) if picture.has_transparency_data else picture.convert("RGB")
        if photograph and shown.width > WIDTH:
            shown = shown.resize((WIDTH, round(shown.height * WIDTH / shown.width)), Image.Resampling.LANCZOS)
        smaller = io.BytesIO()
        shown.save(smaller, "webp", lossless=not photograph, quality=70)
    return uri(smaller.getvalue())


def _coarse(picture: Image.Image) -> Image.Image:
    """RGBA with sixteen levels of transparency: smooth edges look the same and take half the bytes."""
    picture.putalpha(picture.getchannel("A").point([round(alpha / 17) * 17 for alpha in range(256)]))
    return picture


def _animation(picture: Image.Image) -> bytes:
    frames, times = [], []
    for frame in ImageSequence.Iterator(picture):
        frames.append(frame.convert("RGB"))
        times.append(frame.info["duration"])
    step = -(-len(frames) // FRAMES)
    # The last frame, which is held, stays the last.
    kept = [*range(len(frames) - 1, -1, -step)][::-1]
    smaller = io.BytesIO()
    first, *others = [frames[i] for i in kept]
    durations = [max(step * min(times), times[i]) for i in kept]
    first.save(smaller, "webp", save_all=True, append_images=others, duration=durations, loop=0, quality=50, method=4)
    return smaller.getvalue()


def uri(webp: bytes) -> str:
    """The data URI of a WebP file's content."""
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


# Bytes of a result's one picture that git keeps, and how it is made so small: widths in pixels and qualities, the best first.
SMALL = 30_000
SMALLER = [(width, quality) for width in (900, 700, 500, 350) for quality in (80, 60, 40, 25)]


def write_small(picture: Path, to: Path) -> None:
    """Write a picture as WebP of at most 30 KB; of an animation its last frame."""
    with Image.open(picture) as opened:
        opened.seek(getattr(opened, "n_frames", 1) - 1)
        whole = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    for width, quality in SMALLER:
        content = io.BytesIO()
        shown = (
            whole
            if whole.width <= width
            else whole.resize((width, round(whole.height * width / whole.width)), Image.Resampling.LANCZOS)
        )
        shown.save(content, "webp", quality=quality, alpha_quality=50, method=4)
        if content.tell() <= SMALL:
            break
    with atomic(to) as temporary:
        temporary.write_bytes(content.getvalue())
