"""How an image-to-image network's outputs change while it learns: a strip an epoch, and an animation of them."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from tasks.common.files import atomic
from tasks.learning import training

PICTURES = 6
FRAMES = 40
MILLISECONDS = 150


class Followed:
    """A fixed set of validation images, drawn after each epoch into `folder`, where a resumed training goes on."""

    def __init__(self, images: Tensor, folder: Path) -> None:
        """`images`: uint8 (N, H, W, C), of which a few are taken at even distances."""
        self.images = images[np.linspace(0, len(images) - 1, min(PICTURES, len(images))).astype(int)]
        self.folder = folder

    def draw(self, network: nn.Module, epoch: int) -> Path:
        """The network's outputs side by side as a PNG."""
        outputs = training.to_bytes(training.predict(network, self.images))  # (N, H, W, C')
        path = self.folder / f"epoch-{epoch:04d}.png"
        with atomic(path) as temporary:
            Image.fromarray(np.concatenate(list(outputs), axis=1).squeeze(-1)).save(temporary)
        return path

    def animate(self, path: Path) -> None:
        """All strips as an animated WebP of at most 40 frames, the last one held."""
        strips = sorted(self.folder.glob("epoch-*.png"))
        chosen = [strips[i] for i in np.unique(np.linspace(0, len(strips) - 1, min(FRAMES, len(strips))).astype(int))]
        first, *others = [Image.open(strip).convert("RGB") for strip in chosen]
        times = [MILLISECONDS] * len(others) + [10 * MILLISECONDS]
        with atomic(path) as temporary:
            first.save(temporary, save_all=True, append_images=others, duration=times, loop=0, quality=60, method=4)
