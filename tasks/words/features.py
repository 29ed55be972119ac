"""What a frozen backbone sees in images, computed once and kept: fp16 files that are mapped into memory.

A file's name is a hash over the backbone's weights, what it is given (the images, mirrored or not), and its precision. So networks on
one backbone, the seeds of an experiment and the trials of a sweep share it, and nothing else is ever taken for it. The files stand in a
folder of the user's own below the temporary folder (TMPDIR), at most `BOUND` bytes of them; the oldest go first.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor, nn

from tasks.common.files import atomic, private_folder
from tasks.learning.tensors import autocast, to_float

BATCH = 64
BOUND = 16 << 30
# Changed when a change of code changes what is kept.
VERSION = "1"


def kept(
    stem: Callable[[Tensor], Tensor],
    frozen: nn.Module,
    images: Tensor,
    precision: str,
    mirrored: bool = False,
    folder: Path | None = None,
) -> Tensor:
    """Features of uint8 images (N, H, W, 3), fp16 (N, C, h, w): `stem` of float images in [0, 1], (B, 3, H, W).

    `frozen`: the modules that the features depend on, in evaluation mode, which do not learn; `precision`: bf16 or fp32;
    `mirrored`: of the images' mirror images. `folder`: where to keep them instead of the user's own.
    """
    folder = folder or private_folder("darkroom-features")
    path = folder / f"{_key(frozen, images, precision, mirrored)}.npy"
    if not path.exists():
        device = next(frozen.parameters()).device
        _compute(path, stem, images, precision, mirrored, device)
        _prune(folder, path)
    # Copy on write: torch wants arrays it may write to, and nothing is written to the file.
    return torch.from_numpy(np.load(path, mmap_mode="c"))


@torch.inference_mode()
def _compute(
    path: Path, stem: Callable[[Tensor], Tensor], images: Tensor, precision: str, mirrored: bool, device: torch.device
) -> None:
    with atomic(path) as temporary:
        array = None
        for start in range(0, len(images), BATCH):
            pixels = to_float(images[start : start + BATCH].to(device))
            with autocast(device, precision):
                found = stem(pixels.flip(3) if mirrored else pixels).to("cpu", torch.float16).contiguous().numpy()
            if array is None:
                array = open_memmap(temporary, "w+", np.float16, (len(images), *found.shape[1:]))
            array[start : start + len(found)] = found
        if array is not None:
            array.flush()


def _key(frozen: nn.Module, images: Tensor, precision: str, mirrored: bool) -> str:
    digest = hashlib.sha256(f"{VERSION} {precision} {mirrored} {tuple(images.shape)}".encode())
    for name, tensor in frozen.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for batch in images.split(BATCH):
        digest.update(batch.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _prune(folder: Path, last: Path) -> None:
    """Remove the oldest files while all are more than `BOUND`; never the last one."""
    files = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > BOUND and path != last:
            path.unlink(missing_ok=True)
