"""From pixels to a coded sequence of integers and back, with a network whose decoding is computed in integers (`models.fixed`)."""

import hashlib
import zlib
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.codec import ANCHORS, BLOCK, CHANNELS, LEVELS, MULTIPLE, QUALITIES, Codec
from models.coefficients import around, board
from models.fixed import FRACTION, LARGEST, WEIGHT_FRACTION, Fixed, integers
from tasks.codec import coder
from tasks.learning.tensors import autocast

# Rows of pixels that are analysed at once, which bounds memory.
STRIP = 512


class Coded(NamedTuple):
    """What a picture becomes: the coder's output, and a checksum of the integers in it."""

    content: bytes
    checksum: int


class Pictures:
    """A network that encodes and decodes pictures, on the processor.

    Encoding analyses in floats, in bf16 or fp32, as it likes. All that decoding depends on is integers: a file is decoded to the same pixels
    on every processor.
    """

    def __init__(self, network: Codec, precision: str = "fp32") -> None:
        self.network, self.precision = network.cpu().float().eval(), precision
        self.fixed = Fixed()
        with torch.inference_mode():
            levels = torch.arange(QUALITIES + 1, dtype=torch.float64) * (ANCHORS - 1) / QUALITIES
            # The quantiser's steps, in units of 2**-12. In float64 processors differ in the last of 53 bits, of which 27 are kept at most.
            self.steps = integers(1 / network.gain(levels)[..., 0, 0], WEIGHT_FRACTION).clamp(1, LARGEST)
            self.prior = [integers(p).numpy() for p in (network.prior_means, network.prior_scales)]
        self.identity = self._digest()[:8]

    def _digest(self) -> bytes:
        """SHA-256 of every integer that decoding depends on."""
        known = hashlib.sha256(coder.digest())
        for numbers in (self.steps.numpy(), *self.prior):
            known.update(numbers.astype("<i8").tobytes())
        for name, module in sorted(self.network.named_modules()):
            if isinstance(module, torch.nn.Conv2d) and name.split(".")[0] in ("grow", "grown", "groups", "synthesis"):
                for part in self.fixed.of(module):
                    known.update(part.numpy().astype("<i8").tobytes())
        return known.digest()

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray, quality: int) -> Coded:
        """Code a picture, uint8 (H, W, 3), at a quality from 0 to 100."""
        values, hyper = self._analyse(torch.tensor(pixels).permute(2, 0, 1)[None], quality)
        writer = coder.Writer()
        checksum = self._run(writer, quality, hyper, values)[1]
        return Coded(writer.content(), checksum)

    @torch.inference_mode()
    def decode(self, coded: Coded, width: int, height: int, quality: int) -> np.ndarray:
        """The picture, uint8 (H, W, 3). Raises ValueError where the integers are not those that were coded."""
        rows, columns = -(-height // MULTIPLE), -(-width // MULTIPLE)
        values = torch.zeros(1, CHANNELS, rows * MULTIPLE // BLOCK, columns * MULTIPLE // BLOCK)
        hyper = torch.zeros(1, len(self.prior[0]), rows, columns)
        values, checksum = self._run(coder.Reader(coded.content), quality, hyper, values)
        if checksum != coded.checksum:
            raise ValueError("its integers are not those that were coded")
        # Units: coefficients and pixels 2**-8 of sixteen grey levels.
        steps = self.steps[quality][:, None, None]
        for place in range(CHANNELS):
            values[:, place] = (values[:, place].double() * steps[place] * 2.0 ** (FRACTION - WEIGHT_FRACTION)).add(0.5).floor()
        found = self.network.synthesise(values, self._plane(quality, values), self.fixed)[0, :, :height, :width]
        return (
            found.mul_(LEVELS * 2.0**-FRACTION)
            .add_(128)
            .floor_()
            .clamp_(0, 255)
            .to(torch.uint8)
            .permute(1, 2, 0)
            .contiguous()
            .numpy()
        )

    def _plane(self, quality: int, like: Tensor) -> Tensor:
        """The quality as a channel, as the network knows it: 0 to 1, in units of 2**-8."""
        return torch.full((1, 1, *like.shape[2:]), float((quality * (1 << FRACTION) + QUALITIES // 2) // QUALITIES))

    def _analyse(self, image: Tensor, quality: int) -> tuple[Tensor, Tensor]:
        """Rounded coefficients and hyperprior of uint8 (1, 3, H, W), a strip of rows at a time with what its pixels see."""
        height, width = image.shape[2:]
        levels = torch.tensor([quality * (ANCHORS - 1) / QUALITIES])
        edge = -(-BLOCK * len(self.network.analysis.blocks) // MULTIPLE) * MULTIPLE
        high = height + -height % MULTIPLE
        rows = torch.arange(high).clamp(max=height - 1)
        values, hypers = [], []
        for top in range(0, high, STRIP):
            first, last = max(0, top - edge), min(high, top + STRIP + edge)
            strip = image[:, :, rows[first:last]].float() / 255
            strip = F.pad(strip, (0, -width % MULTIPLE, 0, 0), mode="replicate")
            with autocast(strip.device, self.precision):
                found = self.network.analyse(strip, levels)
                found = found[:, :, (top - first) // BLOCK :][:, :, : min(STRIP, high - top) // BLOCK]
                hypers.append(self.network.condense(found, levels).round().clamp(-coder.LARGEST, coder.LARGEST))
            values.append(found.round().clamp(-coder.LARGEST, coder.LARGEST))
        return torch.cat(values, 2), torch.cat(hypers, 2)

    def _run(self, code: coder.Coder, quality: int, hyper: Tensor, values: Tensor) -> tuple[Tensor, int]:
        """Write the integers, or read them into tensors of their shapes. Returns the coefficients, and a checksum of all."""
        writes = isinstance(code, coder.Writer)
        places = hyper[0, 0].numel()
        means, scales = (np.repeat(numbers, places) for numbers in self.prior)
        found = code.code(means, scales, hyper.numpy().ravel() if writes else None)
        checksum = zlib.crc32(found.astype("<i4").tobytes())
        hyper = torch.from_numpy(found.astype(np.float32)).view_as(hyper) * 2**FRACTION
        features = self.network.features(hyper, self._plane(quality, hyper), self.fixed)
        done = torch.zeros_like(values)
        second = board(*values.shape[2:])
        start = 0
        for group, size in zip(self.network.groups, self.network.sizes):
            own = done[:, start : start + size]
            known = group.known(features, done[:, :start] * 2**FRACTION, self.fixed)  # type: ignore[operator]
            for half in (~second, second):
                seen = torch.zeros(1, features.shape[1], 1, int(half.sum()))
                if half is second:
                    seen = group.neighbours(around(own)[:, :, half][:, :, None] * 2**FRACTION, self.fixed)  # type: ignore[operator]
                centres, widths = group(known[:, :, half][:, :, None], seen, self.fixed)
                given = values[:, start : start + size][:, :, half].numpy().ravel() if writes else None
                found = code.code(centres.numpy().ravel(), widths.numpy().ravel(), given)
                checksum = zlib.crc32(found.astype("<i4").tobytes(), checksum)
                own[:, :, half] = torch.from_numpy(found.astype(np.float32)).view(1, size, -1)
            start += size
        return done, checksum
