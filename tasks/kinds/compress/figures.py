"""The figures of a codec's result: curves of bits and quality, and crops side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, PHOTOGRAPHIC, SHARP, TEXT, picture, plain

COLOURS = {"ours": BLUE, "jpeg": ORANGE, "webp": "#4f9d69", "avif": "#9a6fb0", "jxl": INK}
# Bits a pixel up to which curves are drawn.
MOST = 1.5
# What others have published of networks on Kodak: bits a pixel and dB in RGB, as read from CompressAI's model zoo (Begaint et al. 2020) and
# from ELIC (He et al. 2022). Their squared errors are ours; their bits are of entropy coders' output.
PUBLISHED = {
    "factorised prior": ((0.25, 29.2), (0.5, 31.8), (1.0, 35.6)),
    "hyperprior": ((0.25, 30.0), (0.5, 33.1), (1.0, 37.1)),
    "ELIC": ((0.25, 31.7), (0.5, 34.7)),
}
DOTS = (":", "-.", "--")


def rates(table: pd.DataFrame, published: bool = False) -> Figure:
    """PSNR and MS-SSIM against bits a pixel, a line a codec. `table`: columns codec, bpp, psnr, ms_ssim.

    `published`: with what others have published on Kodak, where the table is of Kodak.
    """
    figure = Figure((8, 4), SHARP, layout="constrained")
    for axes, column, title in zip(figure.subplots(1, 2), ("psnr", "ms_ssim"), ("PSNR (dB)", "MS-SSIM")):
        plain(axes)
        for codec, rows in table[table["bpp"] <= max(MOST, table["bpp"].min())].groupby("codec", sort=False):
            rows = rows.sort_values("bpp")
            axes.plot(rows["bpp"], rows[column], color=COLOURS[str(codec)], label=codec, lw=1.6, marker="o", ms=3)
        if column == "psnr" and published:
            for dots, (name, points) in zip(DOTS, PUBLISHED.items()):
                axes.plot(*zip(*points), color=INK, ls=dots, lw=1.2, label=f"{name} (published)")
        axes.set_title(title, loc="left", **TEXT)
        axes.set_xlabel("bits a pixel", **TEXT)
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    return figure


def bits(rows: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> Figure:
    """Photographs, uint8 (H, W, 3), beside the bits of each of their blocks (H / 8, W / 8); each row under its title."""
    figure = Figure((6, 2.2 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    most = max(float(np.quantile(blocks, 0.99)) for _, _, blocks in rows)
    for (left, right), (title, pixels, blocks) in zip(figure.subplots(len(rows), 2, squeeze=False), rows):
        picture(left, pixels)
        right.imshow(blocks, cmap="inferno", vmin=0, vmax=most, interpolation="nearest")
        right.set_xticks([])
        right.set_yticks([])
        left.set_title(title, **TEXT)
        right.set_title(f"bits a block: 0 to {most:.0f}", **TEXT)
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
