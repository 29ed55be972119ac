"""What the demo page does with a photograph: the networks and examples that there are, and one filtering with its numbers."""

import logging
import re
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from torch import nn

import models
from tasks import apply as applying
from tasks.common import devices
from tasks.common.errors import Error
from tasks.datasets import embedded
from tasks.datasets.sources import DATASETS
from tasks.evaluation import metrics
from tasks.imaging import images
from tasks.imaging.tiles import filter_image
from tasks.kinds.translate import filters
from tasks.learning import weights
from tasks.params.preparation import PrepareTranslate, Target
from tasks.profile import Profile

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
MIN_SIDE = metrics.SSIM_WINDOW
PREVIEW = 1200  # pixels of the long side of what the page shows; the download has every pixel
TILE = 128  # pixels a side: SSIM's cost grows with the side of what it is given at once
DIFFERENCE_GAIN = 4

FILTERS: dict[str, tuple[Literal["sobel", "random"], Literal["fixed", "per-image"]]] = {
    "Sobel, fixed scale": ("sobel", "fixed"),
    "Sobel, scaled per image": ("sobel", "per-image"),
    "Random 3x3, fixed scale": ("random", "fixed"),
    "Random 3x3, scaled per image": ("random", "per-image"),
}


def filter_label(target: Target) -> str:
    return next(label for label, value in FILTERS.items() if value == (target.filter, target.scale))


@dataclass(frozen=True)
class Choice:
    """Weights that the page offers."""

    path: Path
    origin: str  # where they come from, for people
    data: str
    target: Target  # what they learned
    device: str

    def load(self) -> tuple[nn.Module, weights.Configuration]:
        """Raises Error for a file that is gone or not ours."""
        try:
            written = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            raise Error(f"the weights {self.path.name} of {self.origin} are gone; load the page again") from None
        return _load(self.path, written, self.device)

    def about(self) -> str:
        """One line: what the network is, and its parameters. Raises Error as `load` does."""
        network, c = self.load()
        return f"{models.about(c.network)} {models.count_parameters(network):,} parameters."

    def describe(self) -> str:
        """One line: experiment, profile, commit, data. Raises Error as `load` does."""
        network, c = self.load()
        commit = c.git_commit[:7] + ("-dirty" if c.git_commit.endswith("-dirty") else "")
        data = f"{self.data} (version {c.data_hash[:8]})"
        learned = f"trained on {data}" if models.count_parameters(network) else "nothing to train"
        return f"{c.experiment}, seed {c.seed} · {self.origin} · commit {commit} · {learned}"


@lru_cache(maxsize=4)
def _load(path: Path, written: int, device: str) -> tuple[nn.Module, weights.Configuration]:
    """`written`: when, so that weights of a later rebuild are read again."""
    return weights.load(path, devices.choose(device))


def choices(profile: Profile) -> dict[str, Choice]:
    """The image-to-image networks that have weights, by the name that the page shows."""
    found = {}
    for name, experiment in profile.params.experiments.items():
        prepare = profile.params.preprocess[experiment.data]
        if not isinstance(prepare, PrepareTranslate):
            continue
        files = sorted((profile.results(name) / "weights").glob("seed-*.safetensors"), key=_seed)
        for file in files:
            label = f"{name}, seed {_seed(file)}" if len(files) > 1 else name
            found[label] = Choice(file, f"profile {profile.name}", experiment.data, prepare.target, profile.params.device)
    for file in sorted((profile.root / "models" / "weights").glob("*.safetensors")):
        try:
            _, configuration = weights.load(file)
        except Error as error:
            logging.warning("left out: %s", error)
            continue
        if configuration.task == "translate":
            found[f"{file.stem} (embedded)"] = _embedded(profile, file, configuration.experiment)
    return found


def _seed(file: Path) -> int:
    return int(re.sub(r"\D", "", file.stem) or 0)


def _embedded(profile: Profile, file: Path, name: str) -> Choice:
    """What embedded weights learned is known where the profile has their experiment."""
    experiment = profile.params.experiments.get(name)
    prepare = profile.params.preprocess[experiment.data] if experiment else None
    target = prepare.target if isinstance(prepare, PrepareTranslate) else Target()
    data = experiment.data if experiment else "data of another profile"
    return Choice(file, "embedded in the code", data, target, profile.params.device)


def examples() -> dict[str, Path]:
    """Photographs inside the installed packages, by name. Raises Error where a package is damaged."""
    return {Path(file.name).stem: embedded.find(file)[0] for file in DATASETS["photos"].packaged}


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


@dataclass(frozen=True)
class Filtered:
    """A photograph, uint8 (H, W, 3), and what filter and network make of it, uint8 (H, W, 1)."""

    photograph: np.ndarray
    target: np.ndarray
    output: np.ndarray
    filter_seconds: float
    network_seconds: float

    @cached_property
    def scores(self) -> dict[str, float]:
        return measure(self.output, self.target)

    @cached_property
    def difference(self) -> np.ndarray:
        """uint8 (H, W, 3): black where output and target agree, yellow at 64 grey levels or more."""
        gap = cv2.absdiff(self.output, self.target)
        return cv2.applyColorMap(cv2.convertScaleAbs(gap, alpha=DIFFERENCE_GAIN), cv2.COLORMAP_INFERNO)[..., ::-1]

    def png(self) -> bytes:
        """The output at full size."""
        return cv2.imencode(".png", self.output)[1].tobytes()


def apply(choice: Choice, photograph: np.ndarray, target: Target) -> Filtered:
    """Filter a photograph, uint8 (H, W, 3), both ways. Raises Error for weights that are gone or not ours."""
    network, configuration = choice.load()
    start = time.perf_counter()
    wanted = filters.target(photograph, target)
    between = time.perf_counter()
    output = filter_image(network, applying.as_channels(photograph, configuration.inputs))
    return Filtered(photograph, wanted, output, between - start, time.perf_counter() - between)


def measure(output: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """psnr, ssim and l1 of `metrics.translate` for one image, uint8 (H, W, C), of any size.

    In tiles that overlap by what SSIM's window needs, so that each window is counted once, in bounded memory.
    """
    height, width = output.shape[:2]
    step = TILE - metrics.SSIM_WINDOW + 1
    windows = similarity = squares = gaps = 0.0
    for top in range(0, height - metrics.SSIM_WINDOW + 1, step):
        for left in range(0, width - metrics.SSIM_WINDOW + 1, step):
            tile = np.s_[top : top + TILE, left : left + TILE]
            a, b = output[tile], target[tile]
            count = (a.shape[0] - metrics.SSIM_WINDOW + 1) * (a.shape[1] - metrics.SSIM_WINDOW + 1)
            similarity += count * metrics.translate(a[None], b[None])["ssim"]
            windows += count
    for top in range(0, height, TILE):
        gap = cv2.absdiff(output[top : top + TILE], target[top : top + TILE]).astype(np.float64)
        squares += float(np.square(gap).sum())
        gaps += float(gap.sum())
    mean = squares / output.size
    psnr = min(metrics.MAX_PSNR, 10 * np.log10(metrics.RANGE**2 / mean)) if mean else metrics.MAX_PSNR
    return {"psnr": float(psnr), "ssim": similarity / windows, "l1": gaps / output.size / metrics.RANGE}


def preview(pixels: np.ndarray, side: int = PREVIEW) -> np.ndarray:
    """At most `side` pixels a side, uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    small = images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    return np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small
