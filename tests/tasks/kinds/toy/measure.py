"""What an evaluation of ink measures and writes: two errors, and a dot an image."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUE, SHARP, plain, save
from tasks.learning.measuring import Out, Test


def measure(test: Test) -> tuple[np.ndarray, dict[str, float]]:
    """Outputs (N, 2) of a split, and their mean absolute errors."""
    outputs = test.predict(test.data.images)
    ink, centre = test.data.array("ink"), test.data.array("centre")
    centres = outputs[:, 1:] * test.info.size
    return outputs, {
        "ink_error": float(np.abs(outputs[:, :1] - ink).mean()),
        "centre_error": float(np.abs(centres - centre).mean()),
    }


def write(test: Test, outputs: np.ndarray, out: Out) -> None:
    """Write a row and a dot an image."""
    ink = test.data.array("ink")
    out.table("ink", pd.DataFrame({"ink": ink[:, 0], "found": outputs[:, 0]}))
    figure = Figure((3, 3), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes)
    axes.scatter(ink[:, 0], outputs[:, 0], color=BLUE, s=4)
    save(figure, out.plots / "scatter.png")
