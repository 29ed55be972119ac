"""Boxes drawn on a photograph, with words above them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

Corners = tuple[float, float, float, float]
COLOURS = ("#d2453b", "#2f74c9", "#2e9e6b", "#b76e14", "#8a55c9", "#0f8b96", "#c2408f", "#6b7a1f")


def frames(image: np.ndarray, boxes: Sequence[tuple[Corners, str, str]]) -> np.ndarray:
    """The image, uint8 (H, W, 3), with boxes in their colours, words above; the first on top, so that nothing covers it."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    side = max(picture.size)
    line, font = max(1, round(side / 300)), ImageFont.load_default(max(9, round(side / 45)))
    for (x1, y1, x2, y2), colour, words in reversed(boxes):
        # A frame's right and bottom pixels are within the box.
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        _, _, wide, high = pen.textbbox((0, 0), words, font=font)
        left, top = max(0.0, min(x1, picture.width - wide - 2 * line)), max(0.0, y1 - high - line)
        pen.rectangle((left, top, left + wide + 2 * line, top + high + line), fill=colour)
        red, green, blue = ImageColor.getrgb(colour)[:3]
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
        pen.text((left + line, top), words, fill="white" if dark else "black", font=font)
    return np.asarray(picture)
