"""The figure of an image-to-image network's result: pictures beside their targets."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tasks.imaging.figures import ERRORS, TEXT, picture


def strip(inputs: np.ndarray, targets: np.ndarray, outputs: np.ndarray, titles: Sequence[str]) -> Figure:
    """Pictures side by side, a column an example under its title: input, target, output and their absolute difference.

    `inputs` (N, H, W, 1 or 3), `targets` and `outputs` (N, H, W, C), all uint8.
    """
    figure = Figure(
        (1.35 * len(inputs) + 0.5, 1.35 * 4 + 0.3),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02),
    )
    grid = figure.subplots(4, len(inputs), squeeze=False)
    difference = np.abs(outputs.astype(int) - targets.astype(int)).max(3).astype(np.uint8)
    for row, (name, pictures) in enumerate(
        (("input", inputs), ("target", targets), ("output", outputs), ("difference", difference))
    ):
        grid[row, 0].set_ylabel(name, **TEXT)
        for column, pixels in enumerate(pictures):
            picture(grid[row, column], pixels, ERRORS if name == "difference" else "gray")
    for axes, title in zip(grid[0], titles):
        axes.set_title(title, **TEXT)
    return figure
