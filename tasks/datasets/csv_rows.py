"""CSV files whose cells hold long rows of numbers."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.datasets.damage import damaged


def rows(path: Path, columns: list[str]) -> Iterator[tuple[str, ...]]:
    """The rows of a CSV file as text, a part at a time. Raises Error for a file that cannot be read."""
    try:
        for part in pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False, na_filter=False, chunksize=1000):
            yield from zip(*(part[column] for column in columns), strict=True)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise damaged(path, error) from None


def decimal_bytes(text: str) -> np.ndarray:
    """uint8 values from decimal text, separated by single spaces. Raises ValueError for anything else."""
    characters = np.frombuffer(text.encode(), np.uint8)
    spaces = np.flatnonzero(characters == ord(" "))
    ends = np.append(spaces, len(characters))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = characters - ord("0")
    digits[spaces] = 0
    if lengths.min() < 1 or lengths.max() > 3 or digits.max() > 9:
        raise ValueError("not decimal bytes")
    # A byte cannot hold what the third digit makes: 300 would become 44.
    digits = digits.astype(np.int64)
    values = digits[ends - 1]
    for place, weight in ((2, 10), (3, 100)):
        values += weight * np.where(lengths >= place, digits[ends - place], 0)
    if values.max() > 255:
        raise ValueError(f"{values.max()} is no byte")
    return values.astype(np.uint8)
