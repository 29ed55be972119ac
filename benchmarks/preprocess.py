"""Sobel targets for a folder of JPEGs at 128 pixels: our stage against the published way, a Python loop over the images."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
import sklearn.datasets
from PIL import Image

from benchmarks.timing import compare
from tasks import preprocess
from tasks.kinds.translate import Prepare, Target

IMAGES = 100
SIZE = 128
Loop = Callable[[Path, Path], None]
BLOCK = Prepare(
    dataset="jpegs", task="translate", size=SIZE, crop="none", validation=0.1, test=0.1, target=Target(scale="per-image"), seed=0
)


def run(root: Path) -> list[dict[str, Any]]:
    """Each way with one core to itself. All read the same files and end with arrays on disk; ours also checks, splits and hashes."""
    with tempfile.TemporaryDirectory() as name, _one_core():
        folder = Path(name) / "jpegs"
        make_jpegs(folder)

        def ours() -> int:
            preprocess.write(folder, BLOCK, Path(name) / "ours")
            return IMAGES

        def loop(way: Loop) -> int:
            way(folder, Path(name) / "loop")
            return IMAGES

        return [
            compare(
                f"sobel_targets_128_{library}",
                ours,
                lambda: loop(way),  # noqa: B023 (called within the iteration)
                unit="images",
                description=f"Sobel targets at 128 px for a folder of JPEGs: our stage against a Python loop with {library}, one image at a time",
                floor=floor,
                dataset="photos",
            )
            # The floor is held against the loop that a notebook has. OpenCV's loop spends its time in the same JPEG decoder as we do.
            for library, way, floor in (("scikit-image", scikit_image_loop, 3.0), ("opencv", opencv_loop, None))
        ]


def make_jpegs(folder: Path) -> None:
    """Photographs of 640x480 pixels, cut from those inside scikit-image and scikit-learn, as JPEGs of quality 90."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    data = skimage.data
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), *sklearn.datasets.load_sample_images().images]
    for i in range(IMAGES):
        photograph = photographs[i % len(photographs)]
        height, width = photograph.shape[:2]
        h = int(random.integers(height // 2, min(height, width * 3 // 4)))
        w = h * 4 // 3
        y, x = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
        crop: np.ndarray = cv2.resize(photograph[y : y + h, x : x + w], (640, 480), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(crop).save(folder / f"{i:04d}.jpg", quality=90)
    (folder / "origin.json").write_text(json.dumps({"origin": "package", "licence": "see scikit-image and scikit-learn"}))


def scikit_image_loop(folder: Path, to: Path) -> None:
    """The published way, with scikit-image."""
    images, targets = [], []
    for path in sorted(folder.glob("*.jpg")):
        image = skimage.io.imread(path)
        image = skimage.transform.resize(image, (SIZE, SIZE), anti_aliasing=True)
        grey = skimage.color.rgb2gray(image)
        edges = skimage.filters.sobel(skimage.filters.gaussian(grey, sigma=1.3))
        edges = (edges - edges.min()) / (edges.max() - edges.min())
        images.append(skimage.util.img_as_ubyte(image))
        targets.append(skimage.util.img_as_ubyte(edges))
    _save(to, images, targets)


def opencv_loop(folder: Path, to: Path) -> None:
    """The same loop with OpenCV."""
    images, targets = [], []
    for path in sorted(folder.glob("*.jpg")):
        read = np.asarray(cv2.imread(str(path)))
        image = cv2.resize(read, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 1.3)
        gx, gy = cv2.Sobel(blurred, cv2.CV_64F, 1, 0), cv2.Sobel(blurred, cv2.CV_64F, 0, 1)
        edges = np.sqrt(gx**2 + gy**2)
        images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        targets.append((255 * (edges - edges.min()) / (edges.max() - edges.min())).astype(np.uint8))
    _save(to, images, targets)


def _save(to: Path, images: list[np.ndarray], targets: list[np.ndarray]) -> None:
    to.mkdir(exist_ok=True)
    np.save(to / "images.npy", np.stack(images))
    np.save(to / "targets.npy", np.stack(targets))


@contextmanager
def _one_core() -> Iterator[None]:
    """Equal threads: every way has one core to itself (where the system can pin a process; else as they come)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(before)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        cv2.setNumThreads(threads)
