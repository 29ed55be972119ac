"""What the training loop asks of a codec: squares at random qualities, and its curve of bits and quality on validation."""

import numpy as np
import torch
from torch import Tensor, nn

from models import codec
from tasks import kinds
from tasks.kinds.compress import codecs, metrics
from tasks.learning import augment, objective
from tasks.learning.tensors import Examples, autocast, to_bytes, to_float

# Squares that are compressed at once on validation, and how many are looked at.
BATCH, MOST = 8, 48
JPEG_QUALITIES = (4, 8, 15, 25, 40, 55, 70, 80, 90, 95)
PICTURES = 4


class Objective(objective.Objective):
    """Bits against squared error; validation has `bpp` (estimated) and `psnr` of the middle quality, and `bd_rate_jpeg`."""

    falling = kinds.falling("compress")

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch of squares (B, 3, H, W), and a level of quality for each (B,)."""
        height, width = data.images.shape[1:3]
        geometry = augment.Geometry(self.recipe.augment, rows, (height, width), rng)
        # One in each part of the range, so that no batch has high qualities alone.
        shares = (np.arange(len(rows)) + rng.random(len(rows))) / len(rows)
        levels = torch.from_numpy((shares * (codec.ANCHORS - 1)).astype(np.float32))
        return to_float(geometry(data.images)), levels.to(data.device)

    @torch.inference_mode()
    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        """The loss and the metrics, of at most 48 squares."""
        network.eval()
        images = val.images[:: max(1, len(val) // MOST)][:MOST]
        curve, losses = [], []
        middle: dict[str, float] = {}
        levels = np.linspace(0, codec.ANCHORS - 1, 2 * codec.ANCHORS - 1)
        for level in levels:
            estimated, errors = self._compress(network, images, float(level))
            losses.append(codec.cost(estimated, errors, torch.full_like(errors, float(level))).mean().item())
            curve.append((estimated.mean().item(), metrics.decibels(errors.mean().item())))
            if level == levels[len(levels) // 2]:
                middle = {
                    "bpp": curve[-1][0],
                    "psnr": float(np.mean([metrics.decibels(error) for error in errors.tolist()])),
                }
        # Squares that were made smaller take more bits a pixel than photographs: all qualities that both curves have count.
        against = metrics.bd_rate(curve, self._jpeg(images), (1e-3, 1e3))
        found = {"loss": float(np.mean(losses)), **middle}
        # Where the curves share no quality, as before the first steps, ours is counted as ten times as large.
        return {**found, "bd_rate_jpeg": 9.0 if against is None else against}

    def _compress(self, network: nn.Module, images: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Bits a pixel and mean squared errors in grey levels, of each square."""
        estimated, errors = [], []
        for batch in images.split(BATCH):
            pixels = to_float(batch)
            with autocast(pixels.device, self.precision):
                bits, outputs = network.measure(pixels, level)  # type: ignore[operator]
            estimated.append(bits.float())
            errors.append(255**2 * (outputs.float().clamp(0, 1) - pixels).square().mean((1, 2, 3)))
        return torch.cat(estimated), torch.cat(errors)

    def _jpeg(self, images: Tensor) -> list[tuple[float, float]]:
        """JPEG's curve on the squares below one another, in one file: a header a square would count against it."""
        if not hasattr(self, "_curve"):
            tall = images.reshape(-1, *images.shape[2:]).cpu().numpy()
            self._curve = [_jpeg(tall, quality) for quality in JPEG_QUALITIES]
        return self._curve

    def picture(self, network: nn.Module, val: Examples) -> np.ndarray:
        """A few fixed validation squares at the middle quality, side by side."""
        network.eval()
        chosen = np.linspace(0, len(val) - 1, min(PICTURES, len(val))).astype(int)
        with torch.inference_mode(), autocast(val.device, self.precision):
            outputs = network(to_float(val.images[chosen]))
        return np.concatenate(list(to_bytes(outputs.float())), axis=1)


def _jpeg(pixels: np.ndarray, quality: int) -> tuple[float, float]:
    content = codecs.write("jpeg", pixels, quality)
    return 8 * len(content) / pixels[..., 0].size, metrics.psnr(codecs.read(content), pixels)
