"""The figures of a captioner's result: sentences under photographs, where it looked at each word, and its most frequent words."""

import textwrap
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, PHOTOGRAPHIC, SHARP, TEXT, picture, plain
from tasks.imaging.images import resize

COLUMNS = 34  # signs in a line of a sentence
LINE = 10.0  # points of a line
SIDE = 168  # pixels of a photograph in a figure
WORDS = 30

Shown = tuple[np.ndarray, str, str, float]


def captions(rows: Sequence[tuple[str, Sequence[Shown]]]) -> Figure:
    """Photographs, uint8 (H, W, 3), a row a name: below each ours, a person's in grey, and its CIDEr-D."""
    most = max(len(shown) for _, shown in rows)
    figure = Figure((2.5 * most, 3.7 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    for axes_row, (name, shown) in zip(figure.subplots(len(rows), most, squeeze=False), rows):
        axes_row[0].set_ylabel(name, **TEXT)
        for axes in axes_row[len(shown) :]:
            axes.set_visible(False)
        for axes, (pixels, ours, theirs, score) in zip(axes_row, shown):
            picture(axes, resize(pixels, SIDE, SIDE))
            axes.set_title(f"CIDEr {score:.2f}", loc="left", color=INK, fontsize=7)
            below = 3.0  # points below the photograph
            for text, colour in ((ours, BLUE), (theirs, INK)):
                lines = textwrap.wrap(text, COLUMNS)
                axes.annotate(
                    "\n".join(lines), (0, 0), (0, -below), "axes fraction", "offset points", va="top", color=colour, fontsize=8
                )
                below += 2 + LINE * len(lines)
    return figure


def attention(rows: Sequence[tuple[np.ndarray, Sequence[str], np.ndarray]], most: int = 12) -> Figure:
    """A row a photograph, uint8 (H, W, 3): itself, and bright where the network looked at each of its first words, (T, L) shares."""
    count = 1 + min(most, max(len(words) for _, words, _ in rows))
    figure = Figure((1.05 * count, 1.25 * len(rows)), PHOTOGRAPHIC, layout="constrained")
    for axes_row, (pixels, words, looked) in zip(figure.subplots(len(rows), count, squeeze=False), rows):
        small = resize(pixels, 96, 96)
        for axes in axes_row:
            axes.axis("off")
        picture(axes_row[0], small)
        for axes, word, shares in zip(axes_row[1:], words, looked):
            picture(axes, brightened(small, shares))
            axes.set_title(word, **TEXT)
    return figure


def brightened(pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3), dark where shares (L,) of its square regions are small."""
    side = round(len(shares) ** 0.5)
    grid = (255 * shares / max(shares.max(), 1e-9)).astype(np.uint8).reshape(side, side, 1)
    light = resize(grid, pixels.shape[1], pixels.shape[0])
    return (pixels * (0.15 + 0.85 * light / 255)).astype(np.uint8)


def frequencies(answers: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Figure:
    """The most frequent words of the answers, and of people's sentences beside them: how often each comes a sentence."""
    ours = Counter(word for answer in answers for word in answer)
    people = [reference for own in references for reference in own]
    theirs = Counter(word for reference in people for word in reference)
    chosen = [word for word, _ in sorted(ours.items(), key=lambda pair: (-pair[1], pair[0]))[:WORDS]]
    figure = Figure((8, 2.6), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes)
    places = np.arange(len(chosen))
    axes.bar(places - 0.2, [ours[word] / len(answers) for word in chosen], 0.4, color=BLUE, label="ours")
    axes.bar(places + 0.2, [theirs[word] / len(people) for word in chosen], 0.4, color=ORANGE, label="people")
    axes.set_xticks(places, chosen, rotation=60, ha="right")
    axes.set_ylabel("times a sentence", **TEXT)
    axes.grid(axis="y", color=FAINT, lw=0.7)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure
