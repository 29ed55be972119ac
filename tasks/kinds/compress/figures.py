"""The figures of a codec's result: curves of bits and quality, and crops side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, PHOTOGRAPHIC, SHARP, TEXT, picture, plain

COLOURS = {"ours": BLUE, "jpeg": ORANGE, "webp": "#4f9d69", "avif": "#9a6fb0", "jxl": INK}
# Bits a pixel up to which curves are drawn.
MOST = 1.5


def rates(table: pd.DataFrame) -> Figure:
    """PSNR and MS-SSIM against bits a pixel, a line a codec. `table`: columns codec, bpp, psnr, ms_ssim."""
    figure = Figure((8, 3.4), SHARP, layout="constrained")
    for axes, column, title in zip(figure.subplots(1, 2), ("psnr", "ms_ssim"), ("PSNR (dB)", "MS-SSIM")):
        plain(axes)
        for codec, rows in table[table["bpp"] <= max(MOST, table["bpp"].min())].groupby("codec", sort=False):
            rows = rows.sort_values("bpp")
            axes.plot(rows["bpp"], rows[column], color=COLOURS[str(codec)], label=codec, lw=1.6, marker="o", ms=3)
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("bits a pixel", **TEXT)
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def crops(rows: Sequence[tuple[str, Mapping[str, np.ndarray]]]) -> Figure:
    """Pictures side by side, each under its title, a row a photograph with its name at the left."""
    most = max(len(shown) for _, shown in rows)
    figure = Figure((2.0 * most, 2.25 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    for axes_row, (name, shown) in zip(figure.subplots(len(rows), most, squeeze=False), rows):
        axes_row[0].set_ylabel(name, **TEXT)
        for axes, (title, pixels) in zip(axes_row, shown.items()):
            picture(axes, pixels)
            axes.set_title(title, **TEXT)
    return figure
