"""How what a network shows changes while it learns: a picture an epoch, and an animation of them."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from tasks.common.files import atomic
from tasks.learning.objective import Objective
from tasks.learning.tensors import Examples

FRAMES = 40
MILLISECONDS = 150


class Followed:
    """Pictures of an objective after each epoch, in `folder`, where a resumed training goes on."""

    def __init__(self, val: Examples, folder: Path) -> None:
        self.val, self.folder = val, folder

    def draw(self, objective: Objective, network: nn.Module, epoch: int) -> Path | None:
        """Write an epoch's picture as PNG; None where the kind of task shows nothing."""
        picture = objective.picture(network, self.val)
        if picture is None:
            return None
        path = self.folder / f"epoch-{epoch:04d}.png"
        with atomic(path) as temporary:
            Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(temporary)
        return path

    def animate(self, path: Path) -> None:
        """Write all pictures as an animated WebP of at most 40 frames, the last one held; nothing where there are none."""
        strips = sorted(self.folder.glob("epoch-*.png"))
        if not strips:
            return
        chosen = [strips[i] for i in np.unique(np.linspace(0, len(strips) - 1, min(FRAMES, len(strips))).astype(int))]
        first, *others = [Image.open(strip).convert("RGB") for strip in chosen]
        times = [MILLISECONDS] * len(others) + [10 * MILLISECONDS]
        with atomic(path) as temporary:
            first.save(temporary, save_all=True, append_images=others, duration=times, loop=0, quality=60, method=4)
