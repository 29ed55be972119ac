"""Boxes drawn on a photograph whose words cover none of them, and a legend beside it for those that go without."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from tasks.imaging.drawing import Corners

# A box of less than this share of the photograph's long side goes without words, which would be larger than what is in it.
SMALL = 1 / 16
# Of the long side: the height of letters, with a least one in pixels, and the width of a line.
LETTERS, LEAST, LINE = 1 / 45, 9, 1 / 300
PAPER, INK = "white", "black"


def labelled(image: np.ndarray, boxes: Sequence[tuple[Corners, str, str]]) -> tuple[np.ndarray, list[int]]:
    """The image, uint8 (H, W, 3), with boxes in their colours, the first on top; and which of them have no words.

    Words stand above or below a box that is not small, where they lie within the image and cover no box and no other words.
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    line, font = _line(max(picture.size)), _font(max(picture.size))
    taken = [corners for corners, _, _ in boxes]
    for (x1, y1, x2, y2), colour, _ in reversed(boxes):
        # A frame's right and bottom pixels are within the box.
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
    bare = []
    for index, ((x1, y1, x2, y2), colour, words) in enumerate(boxes):
        _, _, wide, high = pen.textbbox((0, 0), words, font=font)
        left = max(0.0, min(x1, picture.width - wide - 2 * line))
        tops = (y1 - high - line, y2) if min(x2 - x1, y2 - y1) >= SMALL * max(picture.size) else ()
        places = [(left, top, left + wide + 2 * line, top + high + line) for top in tops]
        place = next((p for p in places if _within(p, picture.size) and not any(_meet(p, box) for box in taken)), None)
        if place is None:
            bare.append(index)
            continue
        taken.append(place)
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)
        pen.text((left + line, place[1]), words, fill=_readable(colour), font=font)
    return np.asarray(picture), bare


def with_legend(image: np.ndarray, entries: Sequence[tuple[str, str]]) -> np.ndarray:
    """The image, uint8 (H, W, 3), with a strip to its right: a square in its colour and words for each entry (colour, words)."""
    size = max(image.shape[:2])
    font, gap = _font(size), 2 * _line(size) + 2
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [measure.textbbox((0, 0), words, font=font) for _, words in entries]
    high = max(round(box[3]) for box in boxes) + gap
    wide = max(round(box[2]) for box in boxes) + high + 3 * gap
    height, width = image.shape[:2]
    picture = Image.new("RGB", (width + wide, max(height, high * len(entries) + gap)), PAPER)
    picture.paste(Image.fromarray(image), (0, 0))
    pen = ImageDraw.Draw(picture)
    for row, (colour, words) in enumerate(entries):
        left, top = width + gap, gap + row * high
        pen.rectangle((left, top, left + high - gap, top + high - gap), fill=colour, outline=INK)
        pen.text((left + high + gap, top), words, fill=INK, font=font)
    return np.asarray(picture)


def _within(place: Corners, size: tuple[int, int]) -> bool:
    return place[1] >= 0 and place[2] <= size[0] and place[3] <= size[1]


def _meet(a: Corners, b: Corners) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _readable(colour: str) -> str:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return PAPER if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else INK


def _line(side: int) -> int:
    return max(1, round(side * LINE))


def _font(side: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(LEAST, round(side * LETTERS)))
