"""Data sets cut from a few large photographs.

Each photograph is divided into cells, and each cell belongs to one split, so that no pixel is in two of them.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from tasks.common.errors import Error
from tasks.datasets.data import SPLITS, Split
from tasks.datasets.records import Settings

# Cells taken of one photograph at most, so that no large one outweighs the others.
CELLS = 16
# Standard deviation in grey levels below which a piece of a photograph counts as empty.
FLAT = 4.0
# Of the photographs and scenes; used where the block of `preprocess` says nothing.
TEST_SHARE = 0.2

Cell = tuple[int, int, int, int]


def read_photographs(folder: Path) -> dict[str, np.ndarray]:
    """Each photograph's pixels, uint8 (H, W, 3) in RGB order, by its name. Raises Error where there is none."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise Error(f"{folder}: no photographs (*.png); run: dvc repro download")
    photographs = {}
    for path in files:
        with PIL.Image.open(path) as image:
            photographs[path.stem] = np.asarray(image.convert("RGB"))
    return photographs


def grid(photograph: np.ndarray, side: int) -> list[Cell]:
    """Corners x1, y1, x2, y2 of a grid that covers the photograph with cells of at least `side` where it is large enough."""
    height, width = photograph.shape[:2]
    xs = np.linspace(0, width, max(1, width // side) + 1).astype(int).tolist()
    ys = np.linspace(0, height, max(1, height // side) + 1).astype(int).tolist()
    return [(x1, y1, x2, y2) for y1, y2 in pairwise(ys) for x1, x2 in pairwise(xs)]


def is_textured(photograph: np.ndarray, cell: Cell) -> bool:
    """Whether there is something to see in every quarter of the cell: an empty one teaches nothing, and scores perfectly."""
    x1, y1, x2, y2 = cell
    x, y = (x1 + x2) // 2, (y1 + y2) // 2
    quarters = (photograph[a:b, c:d] for a, b in ((y1, y), (y, y2)) for c, d in ((x1, x), (x, x2)))
    return all(quarter.std(axis=(0, 1)).mean() >= FLAT for quarter in quarters)


def divided(total: int, shares: tuple[float, ...]) -> list[int]:
    """Counts that add up to the total; each share but the first gets at least one where there is enough."""
    rest = [max(1, round(total * share)) if share else 0 for share in shares[1:]]
    return [total - sum(rest), *rest]


def drawn(cells: list[Cell], shares: tuple[float, ...], random: np.random.Generator) -> Iterator[list[Cell]]:
    """The cells of each share, drawn at random."""
    order = random.permutation(len(cells))
    for part in np.split(order, np.cumsum(divided(len(cells), shares))[:-1]):
        yield [cells[i] for i in sorted(part)]


def held_out(block: Settings) -> tuple[float, float]:
    """Validation's and test's shares. Raises Error where they leave nothing, and for labels, which there are not."""
    if block.by_count:
        raise Error(f"preprocess: the data set {block.dataset} has no labels; task: classify cannot use it")
    test = TEST_SHARE if block.test is None else block.test
    validation = block.validation or 0.0
    if validation + test >= 1:
        raise Error(f"preprocess: validation {validation} and test {test} of {block.dataset} leave nothing to train on")
    return validation, test


def split_cells(folder: Path, side: int, block: Settings) -> dict[Split, dict[str, np.ndarray]]:
    """Each split's cells of at least `side` pixels, as images by name. Raises Error where there are too few."""
    validation, test = held_out(block)
    random = np.random.default_rng(block.seed)
    photographs = read_photographs(folder)
    cells: list[tuple[str, Cell]] = []
    for name, photograph in photographs.items():
        textured = [cell for cell in grid(photograph, side) if is_textured(photograph, cell)]
        kept = random.permutation(len(textured))[:CELLS]
        cells.extend((name, textured[i]) for i in sorted(kept))
    if len(cells) < 3:
        raise Error(
            f"preprocess: {folder} has {len(cells)} pieces of {side} pixels with something to see; ask for a smaller size"
        )
    order = random.permutation(len(cells))
    parts = np.split(order, np.cumsum(divided(len(cells), (1 - validation - test, validation, test)))[:-1])
    return {
        split: {
            f"{name}@{x1},{y1}": photographs[name][y1:y2, x1:x2] for name, (x1, y1, x2, y2) in (cells[i] for i in sorted(part))
        }
        for split, part in zip(SPLITS, parts)
    }


def crop(cell: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """A random square of at least 5/8 of the cell's short side, as (size, size, 3)."""
    short = min(cell.shape[:2])
    side = int(random.integers(short * 5 // 8, short + 1))
    y, x = (int(random.integers(0, n - side + 1)) for n in cell.shape[:2])
    square = cell[y : y + side, x : x + side]
    if random.random() < 0.5:
        square = square[:, ::-1]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
