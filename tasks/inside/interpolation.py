"""What the study of interpolation measures and draws."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from tasks.common import bars
from tasks.common.errors import Error
from tasks.generation.paths import BATCH, Eye, distance, spherical
from tasks.imaging import figures
from tasks.kinds.generate.figures import rows
from tasks.kinds.generate.styles import has_styles
from tasks.learning.tensors import to_bytes
from tasks.studies.interpolation import Block

# Pictures of a way that are drawn.
COLUMNS = 9
COLOURS = {"z": figures.ORANGE, "w": figures.BLUE}
Point = Callable[[Tensor], Tensor]


class Way(NamedTuple):
    """What is measured of ways (N of them): the distance of their ends (N,), and of their steps (N, steps)."""

    ends: Tensor
    steps: Tensor

    @property
    def detour(self) -> float:
        """The mean length of a way, of the distance of its ends. Distances are Euclidean, so it is at least 1."""
        return float((self.steps.sum(1) / self.ends).mean())

    @property
    def unevenness(self) -> float:
        """The mean of the largest step of a way, of its mean step."""
        return float((self.steps.amax(1) / self.steps.mean(1)).mean())


@torch.inference_mode()
def measure(name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Numbers, table and figures of `tasks.studies.interpolation`."""
    block: Block = studied.block.settings()
    if "network" not in studied.networks:
        raise Error(f"studies.{name}: names no network; give `network` (an experiment) or `embedded`")
    network, configuration = studied.networks["network"]
    if not has_styles(network):
        raise Error(f"studies.{name}: {configuration.experiment} has no styles to walk through; name a style-based generator")
    noise = network.noise(2 * block.paths, torch.Generator().manual_seed(block.seed))
    eye = Eye()
    found: dict[str, list[Way]] = {"z": [], "w": []}
    for part in bars.track(torch.arange(block.paths).split(BATCH), "ways"):
        for space, point in ways(network, noise[2 * part], noise[2 * part + 1]).items():
            found[space].append(walked(point, block.steps, eye))
    whole = {space: Way(*(torch.cat(parts) for parts in zip(*walks))) for space, walks in found.items()}
    if not all(way.steps.isfinite().all() for way in whole.values()):
        raise Error(f"studies.{name}: {configuration.experiment}'s samples are not finite: its training diverged")
    if not all(way.ends.all() for way in whole.values()):
        raise Error(
            f"studies.{name}: some of {configuration.experiment}'s samples are one picture, and no way leads anywhere: it collapsed"
        )
    table = steps(whole)
    out.table("steps", table)
    figures.save(rows(drawn(network, noise[: 2 * block.shown])), out.plots / "ways.png")
    figures.save(curve(table), out.plots / "steps.png")
    return {f"{what}_{space}": getattr(way, what) for what in ("detour", "unevenness") for space, way in whole.items()}


def ways(network: Any, first: Tensor, last: Tensor) -> dict[str, Point]:
    """The images (N, C, H, W) at a share of the way from noise (N, latent) to other noise: on arcs in z, and on straight lines in w."""
    w_first, w_last = network.mapping(first), network.mapping(last)
    return {
        "z": lambda share: network.synthesise(network.mapping(spherical(first, last, share.to(first.device)))),
        "w": lambda share: network.synthesise(torch.lerp(w_first, w_last, share.to(w_first.device))),
    }


def walked(point: Point, count: int, eye: Eye) -> Way:
    """What the eye sees of ways of `count` steps."""
    start = before = eye(point(torch.zeros(1, 1)).clamp(0, 1))
    moved = []
    for step in range(1, count + 1):
        now = eye(point(torch.full((1, 1), step / count)).clamp(0, 1))
        moved.append(distance(before, now).sqrt())
        before = now
    return Way(distance(start, before).sqrt(), torch.stack(moved, 1))


def steps(of: Mapping[str, Way]) -> pd.DataFrame:
    """How far the picture moves at each step through each space, of the distance of the ends: means over ways."""
    shares = {space: (way.steps / way.ends[:, None]).mean(0).numpy() for space, way in of.items()}
    return pd.DataFrame({"step": np.arange(1, len(next(iter(shares.values()))) + 1), **shares})


def drawn(network: Any, noise: Tensor) -> dict[str, np.ndarray]:
    """Pictures uint8 (COLUMNS, H, W, C) of the ways between neighbours of noise (2 N, latent), by the row's name."""
    pairs = ways(network, noise[::2], noise[1::2])
    shares = torch.linspace(0, 1, COLUMNS)
    pictures = {space: np.stack([to_bytes(point(share.view(1, 1))) for share in shares], 1) for space, point in pairs.items()}
    return {f"{pair + 1}, {space}": pictures[space][pair] for pair in range(len(noise) // 2) for space in pictures}


def curve(table: pd.DataFrame) -> Drawing:
    """The table of steps as two lines."""
    drawing = Drawing((5, 3), figures.SHARP, layout="constrained")
    axes = drawing.subplots()
    for space, colour in COLOURS.items():
        axes.plot(table["step"], table[space], color=colour, lw=1.6, marker="o", ms=3, label=f"through {space}")
    figures.plain(axes)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing
