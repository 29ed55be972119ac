"""IDX files, the format of MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from tasks.common.errors import Error
from tasks.datasets.damage import damaged


def read(path: Path, dimensions: int) -> np.ndarray:
    """A gzipped IDX file of bytes, as uint8 with so many dimensions. Raises Error for any other, FileNotFoundError for none.

    The file is 0, 0, 8 (bytes), the number of dimensions, the shape as big-endian uint32, and the values.
    """
    content = _gunzip(path)
    start = 4 + 4 * dimensions
    # Python's integers: the product of a damaged header's numbers may not fit 64 bits.
    shape = [int.from_bytes(content[i : i + 4]) for i in range(4, start, 4)]
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) != start + math.prod(shape):
        raise Error(f"{path}: not an IDX file of bytes with {dimensions} dimensions; delete it and download again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _gunzip(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, error) from None
