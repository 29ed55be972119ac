"""Scenes with words: one or two handwritten digits on a piece of a photograph, and the one sentence that says so."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.records import Box, Image, Item, Raw, Settings
from tasks.datasets.sets import scenes

if TYPE_CHECKING:
    import numpy as np

SCENES = 10000
# Pixels a side, where the block says nothing.
SIZE = 128
# Shares of the side: how high digits are, and how much further apart two of them are in one direction than in the other.
LOWEST, HIGHEST, APART = 0.4, 0.55, 0.15

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLACES = {
    "astronaut": "an astronaut",
    "chelsea": "a cat",
    "china": "a temple",
    "coffee": "a cup of coffee",
    "flower": "a flower",
    "hubble": "the stars",
    "ihc": "a tissue",
    "motorcycle": "a motorcycle",
    "retina": "an eye",
    "rocket": "a rocket",
}

SOURCE = scenes.SOURCE


def read(folder: Path, block: Settings) -> Raw:
    """10,000 scenes. Neither a digit's image nor a photograph's pixel is in two splits."""
    import numpy as np

    from tasks.datasets import digits, regions
    from tasks.datasets.data import SPLITS
    from tasks.datasets.sets import mnist_5k

    size = getattr(block, "size", None) or SIZE
    cells = regions.split_cells(folder, size * 3 // 4, block)
    inks, labels = digits.read(folder / mnist_5k.FILE)
    random = np.random.default_rng(block.seed)
    validation, test = regions.held_out(block)
    shares = (1 - validation - test, validation, test)
    counts = dict(zip(SPLITS, regions.divided(SCENES, shares)))
    bounds = np.cumsum(regions.divided(len(inks), shares))[:-1]
    own_digits = dict(zip(SPLITS, np.split(random.permutation(len(inks)), bounds)))
    items: dict[str, Item] = {}
    pixels: dict[str, Image] = {}
    for split in SPLITS:
        names = [*cells[split]]
        count = 0
        while count < counts[split]:
            name = names[random.integers(len(names))]
            scene = regions.crop(cells[split][name], size, random)
            boxes: list[Box] = []
            drawn = random.choice(own_digits[split], random.integers(1, 3), replace=False)
            for digit in drawn:
                _paint(scene, inks[digit], str(labels[digit]), boxes, random)
            if sentence := describe(boxes, len(drawn), PLACES[name.split("@")[0]], size):
                file = f"{split}-{count:04d}"
                count += 1
                items[file] = Item(split, boxes=tuple(boxes), size=(size, size), sentences=(sentence,))
                pixels[file] = scene
    return Raw(items, lambda: iter(pixels.items()), tuple("0123456789"), drawn=True)


def describe(boxes: list[Box], wanted: int, place: str, size: int) -> str:
    """What a scene shows, the left or the upper digit first; empty for a scene that a sentence would not fit exactly."""
    if len(boxes) != wanted:
        return ""
    if wanted == 1:
        return f"{_digit(boxes[0])} on {place}"
    first, second = boxes
    x, y = (
        _middle(second.x1, second.x2) - _middle(first.x1, first.x2),
        _middle(second.y1, second.y2) - _middle(first.y1, first.y2),
    )
    if abs(abs(x) - abs(y)) < APART * size:
        return ""
    if (x if abs(x) > abs(y) else y) < 0:
        first, second = second, first
    return f"{_digit(first)} {'to the left of' if abs(x) > abs(y) else 'above'} {_digit(second)} on {place}"


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


def _digit(box: Box) -> str:
    name = DIGITS[int(box.label)]
    return f"{'an' if name[0] == 'e' else 'a'} {name}"


def _paint(scene: "np.ndarray", digit: "np.ndarray", label: str, boxes: list[Box], random: "np.random.Generator") -> None:
    """Paint a digit (uint8 (28, 28), ink bright) onto the scene, clear of other boxes, and add its box, if there is room."""
    import cv2
    import numpy as np

    ys, xs = np.nonzero(digit > 64)
    ink = digit[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    size = len(scene)
    h = int(size * random.uniform(LOWEST, HIGHEST))
    w = min(size, max(2, h * ink.shape[1] // ink.shape[0]))
    for _ in range(20):
        x, y = int(random.integers(0, size - w + 1)), int(random.integers(0, size - h + 1))
        if all(min(x + w, b.x2) <= max(x, b.x1) or min(y + h, b.y2) <= max(y, b.y1) for b in boxes):
            break
    else:
        return
    under = scene[y : y + h, x : x + w].astype(np.float64)
    colour = random.uniform(190, 255, 3) if under.mean() < 115 else random.uniform(0, 60, 3)
    alpha = cv2.resize(ink, (w, h), interpolation=cv2.INTER_LINEAR)[..., None] / 255
    scene[y : y + h, x : x + w] = np.rint(under + alpha * (colour - under)).astype(np.uint8)
    boxes.append(Box(label, x, y, x + w, y + h))
