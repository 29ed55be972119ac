"""The features that images are compared in, computed once: FID's Inception, kept on the disk by the hash of the images."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from tasks.common import bars
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.generation import inception
from tasks.learning.tensors import autocast

BATCH = 50
# Where features are kept, seen from a profile's folder: an output of no stage, which may be removed at any time.
KEPT = Path("data") / "features"


def inception_features(
    images: np.ndarray,
    folder: Path = KEPT,
    device: torch.device | str = "cpu",
    title: str = "features of Inception",
    precision: str = "fp32",
) -> np.ndarray:
    """The pooled features of FID's Inception, float32 (N, 2048), of images uint8 (N, H, W, 1 or 3); grey ones are repeated thrice.

    They take 0.13 s an image on a core in fp32, and half of that in bf16; they are kept in `folder` under the hash of the images, of the weights
    and of the precision.
    Raises Error where the weights' package is missing, and for images of another type or number of channels.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise Error(f"Inception takes images uint8 (N, H, W, 1 or 3), not {images.dtype} {images.shape}")
    file = folder / f"inception-{precision}-{_hash(images)}.npy"
    if file.is_file():
        return np.asarray(np.load(file, allow_pickle=False))
    network = inception.Inception.load().to(device)
    found = np.empty((len(images), inception.FEATURES), np.float32)
    with bars.bar(title, len(images)) as bar, torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.array(images[start : start + BATCH])).to(device)
            pixels = batch.permute(0, 3, 1, 2).float().expand(-1, 3, -1, -1)
            with autocast(torch.device(device), precision):
                found[start : start + BATCH] = network(pixels).float().cpu().numpy()
            bar.advance(len(batch))
    with atomic(file) as temporary:
        np.save(temporary, found)
    return found


def _hash(images: np.ndarray) -> str:
    """Of the pixels, their shape, and the weights that look at them."""
    digest = hashlib.sha256(f"{inception.SHA256} {images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:32]
