"""From pixels to a coded sequence of integers and back, with a network whose decoding is computed in integers (`models.fixed`).

A picture is coded in tiles, row by row, which bounds memory: of a coefficient's neighbours those in later tiles count as zeros. What the
transforms see reaches over the tiles' edges, so that there are no seams in the picture.
"""

import hashlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.codec import ANCHORS, BLOCK, CHANNELS, LEVELS, MULTIPLE, QUALITIES, Codec, weight
from models.coefficients import bits, board
from models.fixed import FRACTION, LARGEST, WEIGHT_FRACTION, Fixed, integers
from tasks.codec import coder, thrift
from tasks.learning.tensors import autocast

# Pixels a side of a tile: part of the format.
TILE = 512
# Blocks a side that the synthesis makes pixels of at a time: the pixels are the same for any number.
SYNTHESIS = 96
# Blocks of coefficients a side that the hyperprior has one place for.
CELL = MULTIPLE // BLOCK


class Coded(NamedTuple):
    """What a picture becomes: the coder's output, and a checksum of the integers in it."""

    content: bytes
    checksum: int


class Tile(NamedTuple):
    """A rectangle, and the one around it that is seen: `margin` more on each side, where the picture goes on."""

    rows: slice
    columns: slice
    seen: tuple[slice, slice]
    inner: tuple[slice, slice]  # the first within the second


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """The tiles of a grid, row by row."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            own = slice(top, min(height, top + side)), slice(left, min(width, left + side))
            seen = tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(own, (height, width)))
            inner = tuple(slice(s.start - t.start, s.stop - t.start) for s, t in zip(own, seen))
            yield Tile(*own, (seen[0], seen[1]), (inner[0], inner[1]))


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
            # What the squared error of a coefficient costs, in bits: of the pixels that the synthesis makes of a step.
            error = (LEVELS * 2.0**-WEIGHT_FRACTION * self.steps).square() * network.synthesis.linear.weight.square().sum(
                (0, 2, 3)
            )
            self.costs = (weight(levels)[:, None] / 3 * error).float()
        self.identity = self._digest()[:8]

    def _digest(self) -> bytes:
        """SHA-256 of every integer that decoding depends on."""
        known = hashlib.sha256(coder.digest())
        for numbers in (LOGARITHMS.numpy(), self.steps.numpy(), *self.prior):
            known.update(numbers.astype("<i8").tobytes())
        for name, module in sorted(self.network.named_modules()):
            if isinstance(module, torch.nn.Conv2d) and name.split(".")[0] in ("grow", "grown", "groups", "synthesis"):
                for part in self.fixed.of(module):
                    known.update(part.numpy().astype("<i8").tobytes())
        return known.digest()

    def encode(self, pixels: np.ndarray, quality: int) -> Coded:
        """Code a picture, uint8 (H, W, 3), at a quality from 0 to 100."""
        writer = coder.Writer()
        checksum = self._write(writer, pixels, quality)[2]
        return Coded(writer.content(), checksum)

    @torch.inference_mode()
    def _write(self, writer: coder.Writer, pixels: np.ndarray, quality: int) -> tuple[Tensor, Tensor, int]:
        """Coefficients and hyperprior as they were written, and their checksum."""
        exact, hyper = self._analyse(pixels, quality)
        values, checksum = self._run(writer, quality, hyper, exact)
        return values, hyper, checksum

    @torch.inference_mode()
    def decode(self, coded: Coded, width: int, height: int, quality: int) -> np.ndarray:
        """The picture, uint8 (H, W, 3). Raises ValueError where the integers are not those that were coded."""
        rows, columns = -(-height // MULTIPLE), -(-width // MULTIPLE)
        values, checksum = self._run(
            coder.Reader(coded.content), quality, torch.zeros(1, len(self.prior[0]), rows, columns), None
        )
        if checksum != coded.checksum:
            raise ValueError("its integers are not those that were coded")
        result = np.empty((rows * MULTIPLE, columns * MULTIPLE, 3), np.uint8)
        steps = (self.steps[quality] * 2.0 ** (FRACTION - WEIGHT_FRACTION))[:, None, None]
        for tile in tiles(values.shape[2], values.shape[3], SYNTHESIS, len(self.network.synthesis.blocks)):
            # Units: coefficients and pixels 2**-8 of sixteen grey levels.
            coefficients = values[:, :, *tile.seen].contiguous(memory_format=torch.channels_last).double()
            scaled = coefficients.mul_(steps).add_(0.5).floor_().clamp_(-LARGEST, LARGEST).float()
            found = self.network.synthesise(scaled, self._plane(quality, scaled), self.fixed)[0]
            place = [slice(BLOCK * s.start, BLOCK * s.stop) for s in (tile.rows, tile.columns)]
            inner = [slice(BLOCK * s.start, BLOCK * s.stop) for s in tile.inner]
            grey = found[:, *inner].mul(LEVELS * 2.0**-FRACTION).add_(128).floor_().clamp_(0, 255)
            result[*place] = grey.to(torch.uint8).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(result[:height, :width])

    @torch.inference_mode()
    def bits(self, pixels: np.ndarray, quality: int) -> np.ndarray:
        """The bits of each block of 8x8 pixels by the network's own estimate, float (rows, columns); the hyperprior's are spread out."""
        values, hyper, _ = self._write(coder.Writer(), pixels, quality)
        values = values.float()
        network = self.network
        features = network.features(hyper, torch.full((1, 1, *hyper.shape[2:]), quality / QUALITIES))
        means, scales = (torch.cat(parts, 1) for parts in zip(*network.parameters_of(features, values)))
        prior = (network.prior_means[:, None, None], network.prior_scales[:, None, None])
        spread = bits(hyper, *prior).sum(1, keepdim=True) / CELL**2
        found: np.ndarray = (bits(values, means, scales).sum(1) + F.interpolate(spread, scale_factor=CELL)[:, 0])[0].numpy()
        return found

    def _plane(self, quality: int, like: Tensor) -> Tensor:
        """The quality as a channel, as the network knows it: 0 to 1, in units of 2**-8."""
        known = float((quality * (1 << FRACTION) + QUALITIES // 2) // QUALITIES)
        return torch.full((1, *like.shape[2:], 1), known).permute(0, 3, 1, 2)

    def _analyse(self, pixels: np.ndarray, quality: int) -> tuple[Tensor, Tensor]:
        """Coefficients, not yet rounded, and the rounded hyperprior of uint8 (H, W, 3), a tile at a time with what its pixels see."""
        # What is beyond the edges is as the edges are.
        whole = np.pad(pixels, [*((0, -side % MULTIPLE) for side in pixels.shape[:2]), (0, 0)], "edge")
        image = torch.from_numpy(whole).permute(2, 0, 1)[None]
        height, width = image.shape[2:]
        levels = torch.tensor([quality * (ANCHORS - 1) / QUALITIES])
        edge = -(-BLOCK * len(self.network.analysis.blocks) // MULTIPLE) * MULTIPLE
        exact = torch.empty(1, CHANNELS, height // BLOCK, width // BLOCK)
        hyper = torch.empty(1, len(self.prior[0]), height // MULTIPLE, width // MULTIPLE)
        for tile in tiles(height, width, TILE, edge):
            part = image[:, :, *tile.seen].contiguous().float().div_(255)
            with autocast(part.device, self.precision):
                found = self.network.analyse(part, levels)
                found = found[:, :, *(slice(s.start // BLOCK, s.stop // BLOCK) for s in tile.inner)]
                condensed = self.network.condense(found, levels)
            exact[:, :, *(slice(s.start // BLOCK, s.stop // BLOCK) for s in (tile.rows, tile.columns))] = found
            hyper[:, :, *(slice(s.start // MULTIPLE, s.stop // MULTIPLE) for s in (tile.rows, tile.columns))] = condensed
        return exact, hyper.round_().clamp_(-coder.LARGEST, coder.LARGEST)

    def _run(self, code: coder.Coder, quality: int, hyper: Tensor, exact: Tensor | None) -> tuple[Tensor, int]:
        """Write coefficients that are given, rounded as is cheapest, or read them. Returns them, int16, and a checksum of all integers."""
        means, scales = (np.repeat(numbers, hyper[0, 0].numel()) for numbers in self.prior)
        found = code.code(means, scales, None if exact is None else hyper.numpy().ravel())
        checksum = zlib.crc32(found.astype("<i4").tobytes())
        hyper = torch.from_numpy(found.astype(np.float32)).view_as(hyper) * 2**FRACTION
        rows, columns = (CELL * side for side in hyper.shape[2:])
        # With a border of zeros, as beyond the picture.
        values = torch.zeros(1, CHANNELS, rows + 2, columns + 2, dtype=torch.int16)
        for tile in tiles(hyper.shape[2], hyper.shape[3], TILE // MULTIPLE, 1):
            near = hyper[:, :, *tile.seen]
            features = self.network.features(near, self._plane(quality, near), self.fixed)
            features = features[:, :, *(slice(CELL * s.start, CELL * s.stop) for s in tile.inner)]
            place = [slice(CELL * s.start, CELL * s.stop) for s in (tile.rows, tile.columns)]
            given = None if exact is None else exact[0, :, *place]  # type: ignore[index]
            window = values[:, :, place[0].start : place[0].stop + 2, place[1].start : place[1].stop + 2]
            checksum = self._tile(code, features, window, given, self.costs[quality], checksum)
        return values[:, :, 1:-1, 1:-1], checksum

    def _tile(
        self, code: coder.Coder, features: Tensor, values: Tensor, exact: Tensor | None, costs: Tensor, checksum: int
    ) -> int:
        """Write or read a tile's coefficients, into `values` (1, 192, H + 2, W + 2). Returns the checksum of all integers so far."""
        later = board(*features.shape[2:]).flatten()
        first, second = (~later).nonzero()[:, 0], later.nonzero()[:, 0]
        wanted = None if exact is None else exact.flatten(1)
        wide = F.pad(features, (1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
        # Of each place, with those of the border, its row of coefficients.
        rows = _rows(values).contiguous()
        numbers = torch.arange(len(rows)).view(values.shape[2:])
        inner = numbers[1:-1, 1:-1].flatten()
        beside = torch.stack([numbers[:-2, 1:-1], numbers[2:, 1:-1], numbers[1:-1, :-2], numbers[1:-1, 2:]], -1).flatten(0, 1)
        start = 0
        for group, size in zip(self.network.groups, self.network.sizes):
            own = slice(start, start + size)
            coarser = _seen(rows[:, :start]).view(*values.shape[2:], -1).permute(2, 0, 1)[None]
            known = _rows(group.known(wide, coarser, self.fixed))  # type: ignore[operator]
            for half in (first, second):
                here = inner[half]
                near = None
                if self.network.context:
                    near = _line(torch.zeros(len(here), features.shape[1]))
                    if half is second:
                        near = group.neighbours(_line(_seen(rows[:, own])[beside[half]].flatten(1)), self.fixed)  # type: ignore[operator]
                means, scales = (x[0, :, 0].numpy().astype(np.int32, "C") for x in group(_line(known[here]), near, self.fixed))
                chosen = (
                    None
                    if wanted is None
                    else thrift.rounded(wanted[own].index_select(1, half).numpy(), means, scales, costs[own].numpy())
                )
                found = code.code(means.ravel(), scales.ravel(), None if chosen is None else chosen.ravel())
                checksum = zlib.crc32(found.astype("<i4").tobytes(), checksum)
                rows[here, own] = torch.from_numpy(found.astype(np.int16)).view(size, -1).t()
            start += size
        values[..., 1:-1, 1:-1] = rows.view(*values.shape[2:], -1)[1:-1, 1:-1].permute(2, 0, 1)
        return checksum


# Of each magnitude, the base-2 logarithm of one more than it, in units of 2**-8: `models.coefficients.logarithms` in integers.
LOGARITHMS = torch.from_numpy(np.rint(np.log2(1 + np.arange(coder.LARGEST + 2)) * 2**FRACTION).astype(np.float32))


def _seen(values: Tensor) -> Tensor:
    """Integers (N, C) as contexts see them, (N, 2 C) in units of 2**-8: themselves, and their logarithms with their signs."""
    plain = values.float()
    return torch.cat([plain * 2**FRACTION, torch.copysign(LOGARITHMS[values.int().abs()], plain)], 1)


def _rows(maps: Tensor) -> Tensor:
    """(1, C, H, W) as a row of channels for each place, (H W, C)."""
    return maps[0].permute(1, 2, 0).flatten(0, 1)


def _line(rows: Tensor) -> Tensor:
    """Rows of channels (N, C) as places beside one another, (1, C, 1, N)."""
    return rows[None, None].permute(0, 3, 1, 2)
