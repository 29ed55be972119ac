"""What every figure of a result is, whatever it shows."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tasks.imaging import figures


def check(figure: Figure, path: Path) -> None:
    """It is a small PNG without a background."""
    figures.save(figure, path)
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert pixels[0, 0, 3] == 0, "the corner is transparent"
    assert pixels[..., 3].max() == 255, "something is drawn"
