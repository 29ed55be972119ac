"""The figures of two encoders: what is nearest to sentences, both spaces as a map, and what crops were taken for."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from tasks.imaging.figures import BLUE, FAINT, INK, ORANGE, PHOTOGRAPHIC, SHARP, TEXT, picture, plain

# Images and sentences on the map: more would be a cloud.
ON_MAP = 250
PERPLEXITY = 20


class Query(NamedTuple):
    """A sentence, the place of its own photograph, the nearest photographs, uint8 (H, W, 3), and which of them is its own."""

    text: str
    place: int
    nearest: Sequence[np.ndarray]
    own: Sequence[bool]


def grid(queries: Sequence[Query]) -> Figure:
    """A row a sentence: the photographs that are nearest to it, its own with a frame."""
    most = max(len(query.nearest) for query in queries)
    figure = Figure((1.5 * most + 2.2, 1.55 * len(queries)), PHOTOGRAPHIC, layout="constrained")
    axes = figure.subplots(len(queries), most + 1, squeeze=False, width_ratios=[2.2 / 1.5, *[1] * most])
    for row, query in zip(axes, queries):
        row[0].axis("off")
        words = textwrap.fill(query.text, 26, max_lines=5)
        row[0].text(0, 0.5, f"{words}\n\nplace {query.place}", va="center", transform=row[0].transAxes, **TEXT)
        for place in row[1:]:
            place.axis("off")
        for place, pixels, own in zip(row[1:], query.nearest, query.own):
            place.axis("on")
            picture(place, pixels)
            for side in place.spines.values():
                side.set_visible(own)
                side.set_color(ORANGE)
                side.set_linewidth(3)
    return figure


def spaces(images: np.ndarray, sentences: np.ndarray, owner: np.ndarray) -> Figure:
    """Images (N, D) and the first sentence of each, of sentences (M, D) whose images are `owner` (M,), in the plane by t-SNE."""
    first = np.unique(owner, return_index=True)[1][:ON_MAP]
    count = len(first)
    together = np.concatenate([images[owner[first]], sentences[first]])
    places = flat(together)
    figure = Figure((7, 5.6), SHARP, layout="constrained")
    axes = figure.subplots()
    plain(axes)
    axes.add_collection(LineCollection(list(np.stack([places[:count], places[count:]], 1)), colors=FAINT, linewidths=0.7))
    axes.scatter(*places[:count].T, s=12, color=BLUE, label="photographs", zorder=2)  # type: ignore[misc]
    axes.scatter(*places[count:].T, s=12, color=ORANGE, marker="^", label="sentences", zorder=2)  # type: ignore[misc]
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def flat(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places in the plane (N, 2) of unit vectors (N, D), by t-SNE of cosines; by principal components where they are few."""
    from sklearn.manifold import TSNE

    centred = vectors - vectors.mean(0)
    if len(vectors) <= 3 * PERPLEXITY:
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        found: np.ndarray = centred @ axes[:2].T
        return found if found.shape[1] == 2 else np.pad(found, ((0, 0), (0, 2 - found.shape[1])))
    return np.asarray(TSNE(perplexity=PERPLEXITY, metric="cosine", init="random", random_state=seed).fit_transform(vectors))


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Counts (K, K) of crops, the true class down and the nearest one across, coloured by their share of the true class."""
    side = 1.8 + 0.45 * len(names)
    figure = Figure((side, side), SHARP, layout="constrained")
    axes = figure.subplots()
    share = counts / counts.sum(1, keepdims=True).clip(min=1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(
                column, row, f"{count}", ha="center", va="center", color="white" if share[row, column] > 0.6 else INK, fontsize=7
            )
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", **TEXT)
    axes.set_yticks(range(len(names)), names, **TEXT)
    axes.set_xlabel("taken for", **TEXT)
    return figure
