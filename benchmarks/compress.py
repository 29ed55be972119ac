"""The codec that git carries on one thread: how fast it writes files beside AVIF, how fast it opens them, and the memory that a large picture takes."""

import io
import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import compare
from tasks import compress
from tasks.codec import file, library
from tasks.codec.pictures import Pictures
from tasks.common import devices
from tasks.datasets import embedded
from tasks.datasets.photographs import PHOTOGRAPHS
from tasks.kinds.compress import codecs

PHOTOGRAPH = "china.png"
SIZE = 768, 512
# Twelve megapixels.
LARGE = 4000, 3000
QUALITY, AVIF_QUALITY = 50, 75  # by default
LIMIT = 1000  # MB
REPEATS = 5
FRESH = "import sys; from benchmarks import compress; compress.fresh(*sys.argv[1:])"


def run(root: Path) -> list[dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*speed(library.load(root / "models" / "weights" / library.WRITER), photograph()), memory(root)]
    finally:
        torch.set_num_threads(threads)


def photograph() -> np.ndarray:
    """A photograph that a package carries, uint8 (H, W, 3)."""
    [packaged] = [packaged for packaged in PHOTOGRAPHS if packaged.name == PHOTOGRAPH]
    with Image.open(embedded.find(packaged)[0]) as image:
        return np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))


def avif(pixels: np.ndarray, quality: int) -> bytes:
    """An AVIF file at Pillow's speed, written by one thread."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "AVIF", quality=quality, max_threads=1)
    return content.getvalue()


def nearest(codec: Pictures, pixels: np.ndarray, size: int) -> int:
    """Our quality whose file is nearest to a number of bytes."""
    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(_ours(codec, pixels, middle)) < size else (low, middle)
    return min((low, high), key=lambda quality: abs(len(_ours(codec, pixels, quality)) - size))


def speed(codec: Pictures, pixels: np.ndarray) -> list[dict[str, Any]]:
    """Writing beside AVIF at the default quality of each, the other's file as large as it can be made; opening beside writing."""
    quality = nearest(codec, pixels, len(avif(pixels, AVIF_QUALITY)))
    of_our_size = codecs.of_size("avif", pixels, len(_ours(codec, pixels, QUALITY)))[1]
    rows = [
        _writing(
            "compress_avif", codec, pixels, quality, AVIF_QUALITY, "AVIF at Pillow's default quality and ours of the nearest size"
        ),
        _writing(
            "compress", codec, pixels, QUALITY, of_our_size, "ours at its default quality and the best AVIF that is not larger"
        ),
    ]
    content = _ours(codec, pixels, QUALITY)
    opening = compare(
        "compress_open",
        _once(partial(file.decompress, codec, content)),
        _once(partial(_ours, codec, pixels, QUALITY)),
        unit="photographs",
        description=f"{_what(pixels)}, quality {QUALITY}: opening our file against writing it",
        floor=1.0,
        repeats=REPEATS,
    )
    return [*rows, opening]


def _writing(name: str, codec: Pictures, pixels: np.ndarray, quality: int, avif_quality: int, what: str) -> dict[str, Any]:
    rate = {
        "bits_a_pixel": round(8 * len(_ours(codec, pixels, quality)) / pixels[..., 0].size, 3),
        "avif_bits_a_pixel": round(8 * len(avif(pixels, avif_quality)) / pixels[..., 0].size, 3),
    }
    return compare(
        name,
        _once(partial(_ours, codec, pixels, quality)),
        _once(partial(avif, pixels, avif_quality)),
        unit="photographs",
        description=f"{_what(pixels)}, {what}: writing our file (quality {quality}, {rate['bits_a_pixel']} bits a pixel) against AVIF's "
        f"(quality {avif_quality}, {rate['avif_bits_a_pixel']} bits a pixel)",
        floor=1.0,
        repeats=REPEATS,
        **rate,
    )


def _what(pixels: np.ndarray) -> str:
    return f"A photograph of {pixels.shape[1]} x {pixels.shape[0]} pixels on one thread"


def _ours(codec: Pictures, pixels: np.ndarray, quality: int) -> bytes:
    return file.compress(codec, file.Picture(pixels), quality)


def _once(work: Any) -> Any:
    """A way to be compared, which does one photograph."""

    def one() -> int:
        work()
        return 1

    return one


def memory(root: Path) -> dict[str, Any]:
    """The larger of what compressing a large picture and opening it take, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        whole, small, opened = (Path(name) / part for part in ("large.png", "large.drc", "opened.png"))
        # Mirrored, the photograph fills a larger one without being smoother.
        beyond = [(0, large - side) for large, side in zip(LARGE[::-1], SIZE[::-1])]
        Image.fromarray(np.pad(photograph(), (*beyond, (0, 0)), "symmetric")).save(whole, compress_level=1)
        writes, opens = _fresh(root, whole, small), _fresh(root, small, opened)
    return {
        "name": "compress_memory",
        "megabytes": max(writes, opens),
        "limit": LIMIT,
        "description": f"a picture of {LARGE[0] * LARGE[1] / 1e6:.0f} megapixels, compressed and opened by the command line: the memory of the "
        "larger of both processes",
        "write_megabytes": writes,
        "open_megabytes": opens,
    }


def _fresh(root: Path, source: Path, to: Path) -> float:
    """The largest memory, in MB, of a process that makes one file of another."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FRESH, str(source), str(to)]
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return round(float(done.stdout), 1)


def fresh(source: str, to: str) -> None:
    """Compress or open a file, as its ending says, and print the largest memory of this process in MB."""
    compress.main(Path(source), Path(to), quality=QUALITY, opens=source.endswith(file.SUFFIX), jobs=1)
    status = Path("/proc/self/status")
    # What Linux counts as a process's own peak (`getrusage`) has that of the process which started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    print(int(peak[1]) / 2**10 if peak else devices.peak_memory_mb(torch.device("cpu")))
