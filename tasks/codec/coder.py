"""The entropy coder: integers under logistic distributions whose means and scales are integers too, by tables that are part of the format.

A mean is rounded to an eighth, a scale to a sixth of an octave. For each pair there is a table of counts; constriction's range
coder takes the tables and the integers.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from functools import cache
from itertools import pairwise

import constriction
import numpy as np
from scipy.special import expit

from models.coefficients import NARROW, WIDE
from models.fixed import FRACTION

EIGHTHS = 8
STEPS = 6  # of the scale in an octave
SCALES = STEPS * int(WIDE - NARROW) + 1
TOTAL = 1 << 20  # of a table's counts, about
# A table reaches so many scales far; what lies beyond is written by itself, after an escape.
REACH = 14
LARGEST = (1 << 15) - 1


def reach(scale: int) -> int:
    """How far from the rounded mean a scale's tables go."""
    return math.ceil(REACH * 2 ** (scale / STEPS + NARROW)) + 1


@cache
def counts(table: int) -> np.ndarray:
    """A table: the count of each value from -reach to reach around the rounded mean, and that of the escape last."""
    scale, eighth = divmod(table, EIGHTHS)
    far = reach(scale)
    edges = np.arange(-far, far + 2) - 0.5 - (eighth - EIGHTHS // 2) / EIGHTHS
    below = expit(edges / 2 ** (scale / STEPS + NARROW))
    return np.maximum(1, np.rint(TOTAL * np.append(np.diff(below), 2 * below[0]))).astype(np.uint32)


@cache
def digest() -> bytes:
    """SHA-256 of all tables: were one of them computed differently somewhere, files would be refused there, and not be read wrongly."""
    return hashlib.sha256(b"".join(counts(table).tobytes() for table in range(SCALES * EIGHTHS))).digest()


@cache
def _model(table: int) -> constriction.stream.model.Categorical:
    return constriction.stream.model.Categorical(counts(table).astype(np.float32), perfect=False)


_REACHES = np.array([reach(scale) for scale in range(SCALES)], np.int32)
_RAW = constriction.stream.model.Uniform(2 * LARGEST + 2)


def tables(means: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The table and the rounded mean of each pair of a mean and a base-2 logarithm of a scale, integers in units of 2**-8."""
    unit = 1 << FRACTION
    # Divisions by powers of two.
    eighths = (means.astype(np.int32) + unit // (2 * EIGHTHS)) >> (unit // EIGHTHS).bit_length() - 1
    base = (eighths + EIGHTHS // 2) >> EIGHTHS.bit_length() - 1
    scale = np.clip(((scales.astype(np.int32) - int(NARROW) * unit) * STEPS + unit // 2) >> unit.bit_length() - 1, 0, SCALES - 1)
    return (scale * EIGHTHS + (eighths - EIGHTHS * base + EIGHTHS // 2)).astype(np.int16), base


class Coder(ABC):
    """Writes or reads integers; both directions take the same steps."""

    def code(self, means: np.ndarray, scales: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """The integers (N,), which a writer is given and a reader finds. `means`, `scales`: see `tables`."""
        table, base = tables(means, scales)
        order = np.argsort(table, kind="stable")
        edges = np.flatnonzero(np.diff(table[order])) + 1
        far = _REACHES[table // EIGHTHS]
        symbols = np.empty(len(table), np.int32)
        if values is not None:
            offsets = values.astype(np.int32) - base
            symbols = np.where(np.abs(offsets) > far, 2 * far + 1, offsets + far)
        # Those of one table stand together.
        sorted_symbols = symbols[order]
        for first, last in pairwise((0, *edges.tolist(), len(order))) if len(order) else ():
            sorted_symbols[first:last] = self.symbols(_model(int(table[order[first]])), sorted_symbols[first:last])
        symbols[order] = sorted_symbols
        found = base + symbols - far
        escaped = np.flatnonzero(symbols == 2 * far + 1)
        if len(escaped):
            raw = None if values is None else (values[escaped].astype(np.int64) + LARGEST + 1).astype(np.int32)
            found[escaped] = self.symbols(_RAW, np.empty(len(escaped), np.int32) if raw is None else raw) - (LARGEST + 1)
        return found

    @abstractmethod
    def symbols(self, model: constriction.stream.model.Model, symbols: np.ndarray) -> np.ndarray:
        """As many symbols of one model as are given."""


class Writer(Coder):
    """Writes integers."""

    def __init__(self) -> None:
        self.encoder = constriction.stream.queue.RangeEncoder()

    def symbols(self, model: constriction.stream.model.Model, symbols: np.ndarray) -> np.ndarray:
        self.encoder.encode(symbols, model)
        return symbols

    def content(self) -> bytes:
        """What was written."""
        return self.encoder.get_compressed().astype("<u4").tobytes()


class Reader(Coder):
    """Reads integers."""

    def __init__(self, content: bytes) -> None:
        self.decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(content, "<u4").astype(np.uint32))

    def symbols(self, model: constriction.stream.model.Model, symbols: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.decoder.decode(model, len(symbols))
        return found
