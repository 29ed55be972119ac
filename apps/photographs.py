"""Photographs of the page: uploads, those inside the installed packages, those of validation, and how they are shown."""

from pathlib import Path

import numpy as np

from tasks import apply as applying
from tasks.common.errors import Error
from tasks.datasets import data, embedded
from tasks.datasets.sources import DATASETS
from tasks.imaging import images
from tasks.profile import Profile

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
MIN_SIDE = 11  # pixels: the window of SSIM
PREVIEW = 1200  # pixels of the long side of what the page shows; the download has every pixel


def examples(dataset: str = "photos") -> dict[str, Path]:
    """Photographs inside the installed packages, by name. Raises Error where a package is damaged."""
    return {Path(file.name).stem: embedded.find(file)[0] for file in DATASETS[dataset].packaged}


def validation(profile: Profile, name: str, count: int) -> dict[int, np.ndarray]:
    """A few validation images of prepared data, uint8 (H, W, C), by their row; none where they are not prepared."""
    folder = profile.processed(name)
    if not (folder / "val" / "images.npy").exists():
        return {}
    pixels = data.Data(folder, "val").images
    return {row: pixels[row] for row in np.linspace(0, len(pixels) - 1, min(count, len(pixels))).astype(int).tolist()}


def read(path: Path, name: str) -> tuple[np.ndarray, str]:
    """A photograph as uint8 (H, W, 3), the way up that a viewer shows it, and a note or "". Raises Error that says why not."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise Error(f"{name} has {size / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} MiB that this page takes")
        pixels, note = applying.read(path.read_bytes())
    except FileNotFoundError:
        raise Error(f"{name} is no longer here: uploads are deleted after an hour; choose it again") from None
    except images.Undecodable as error:
        raise Error(f"{name} cannot be used: {error}") from None
    height, width = pixels.shape[:2]
    if height * width > MAX_PIXELS:
        raise Error(f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that this page takes")
    if min(height, width) < MIN_SIDE:
        raise Error(f"{name} has {width} x {height} pixels; it takes at least {MIN_SIDE} on each side")
    return pixels, note


def preview(pixels: np.ndarray, side: int = PREVIEW) -> np.ndarray:
    """At most `side` pixels a side, uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    small = images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    return np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small
