"""What the study of painting measures and draws."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from PIL import Image
from torch import Tensor

from tasks.common import bars
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.datasets import embedded
from tasks.datasets.data import Data
from tasks.datasets.sets.photos import SOURCE
from tasks.imaging import figures
from tasks.imaging.images import as_channels, center_square, decode
from tasks.inside import backbones, framing, work
from tasks.inside.backbones import Features
from tasks.inside.style import PARTS, Painting, Settings
from tasks.learning.tensors import to_bytes, to_float
from tasks.params.params import known_to_user
from tasks.studies.style import WEIGHTS, Block

FRAMES = 16
# Milliseconds of a frame, and of the last one.
SHOWN, HELD = 150, 1500
ALL = "all of them"


def measure(name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Numbers, tables and figures of `tasks.studies.style`."""
    block: Block = studied.block.settings()
    network = backbones.features(block.backbone, studied.device, block.source, block.path)
    if block.style and len(block.style) not in (1, len(backbones.BACKBONES[block.backbone].style)):
        raise Error(
            f"studies.{name}: options.style: one weight, or one for each of {len(backbones.BACKBONES[block.backbone].style)} layers"
        )
    settings = _settings(block)
    contents = {str(n): as_picture(image, block.size, studied.device) for n, image in enumerate(_contents(studied, block))}
    styles = {style: as_picture(photograph(style), block.size, studied.device) for style in block.styles}
    wanted = [(content, [style]) for content in contents for style in styles]
    if block.mixed and len(styles) > 1:
        wanted.append((next(iter(contents)), [*styles]))
    rows, lines, painted = [], [], []
    for number, (content, of) in enumerate(bars.track(wanted, "paintings")):
        work_ = Painting(network, contents[content], [(styles[style], 1.0) for style in of], settings)
        start = work_.measure()["total"]
        frames = _painted(work_)
        if number == 0:
            _animate(frames, out.plots / "steps.webp")
        label = of[0] if len(of) == 1 else ALL
        rows.append({"photograph": content, "styles": label, "start": start, **work_.measure()})
        lines.append(pd.DataFrame(work_.losses).assign(photograph=content, styles=label))
        painted.append((contents[content], [styles[style] for style in of], frames[-1]))
    table = pd.DataFrame(rows)
    out.table("paintings", table)
    out.table("losses", pd.concat(lines, ignore_index=True))
    first = (contents[wanted[0][0]], [(styles[wanted[0][1][0]], 1.0)])
    reached, curves = _compared(network, *first, settings, block)
    out.table("compared", curves)
    figures.save(_triples(painted, wanted), out.plots / "triples.png")
    figures.save(_curves(curves), out.plots / "losses.png")
    return {
        "loss_start": table["start"].mean(),
        **{f"loss_{part}": table[part].mean() for part in ("total", *PARTS)},
        "left": (table["total"] / table["start"]).mean(),
        **reached,
    }


def _settings(block: Block) -> Settings:
    content, style, variation = WEIGHTS[block.recipe]
    return Settings(
        recipe=block.recipe,
        backbone=block.backbone,
        steps=block.steps,
        content=content if block.content is None else block.content,
        style=(style,) if block.style is None else block.style,
        variation=variation if block.variation is None else block.variation,
        unit=block.unit,
        optimizer=block.optimizer,
        scales=block.scales,
        colours=block.colours,
        seed=block.seed,
    )


def _contents(studied: Any, block: Block) -> list[np.ndarray]:
    """The first photographs of validation, uint8 (H, W, 3), without the padding that detectors' data have."""
    data = Data(studied.data, "val")
    sizes = framing.extents(data, studied.info)[: block.contents]
    return [as_channels(np.asarray(image[:height, :width]), 3) for image, (height, width) in zip(data.images, sizes)]


def photograph(name: str) -> np.ndarray:
    """A photograph inside the installed packages, uint8 (H, W, 3). Raises Error for an unknown one."""
    files = {file.name.partition(".")[0]: file for file in SOURCE.packaged}
    known_to_user(name, files, "style")
    return decode(embedded.find(files[name])[0].read_bytes()).pixels


def as_picture(pixels: np.ndarray, size: int, device: torch.device | str = "cpu") -> Tensor:
    """The middle square of uint8 (H, W, 3) as (1, 3, size, size) in [0, 1]."""
    return to_float(torch.tensor(center_square(pixels, size)[None])).to(device)


def _painted(painting: Painting) -> list[np.ndarray]:
    """Do the work; the picture now and then, uint8 (H, W, 3), the last one last."""
    frames = [to_bytes(painting.picture())[0]]
    shown = {round(n) for n in np.linspace(1, painting.steps, FRAMES)}
    frames += [to_bytes(painting.picture())[0] for done in work.steps(painting) if done in shown]
    return frames


def _animate(frames: Sequence[np.ndarray], path: Any) -> None:
    first, *others = [Image.fromarray(frame) for frame in frames]
    times = [SHOWN] * len(others) + [HELD]
    with atomic(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=times, loop=0, quality=60, method=4)


def _compared(
    network: Features, content: Tensor, styles: list[tuple[Tensor, float]], settings: Settings, block: Block
) -> tuple[dict[str, float], pd.DataFrame]:
    """After which share of Adam's steps other ways of descent are where Adam is in the end; 1 where half of them are not enough.

    Beside it their objective then, as a share of Adam's last. A step of any computes the losses and their gradient once.
    """
    ways = {
        "Adam": ("adam", replace(settings, optimizer="adam", scales=1)),
        "L-BFGS": ("lbfgs", replace(settings, optimizer="lbfgs", scales=1)),
        "L-BFGS, two scales": ("scales", replace(settings, optimizer="lbfgs", scales=2)),
        "Adam, falling rate": ("annealed", replace(settings, optimizer="annealed", scales=1)),
    }
    lines, shares, goal = [], dict[str, float](), 0.0
    for way, (kind, chosen) in bars.track(list(ways.items()), "ways of descent"):
        steps = block.compared if way == "Adam" else -(-block.compared // 2)
        painting = Painting(network, content, styles, replace(chosen, steps=steps))
        for _ in work.steps(painting):
            finest = painting.scale == len(painting.sizes) - 1
            if finest and way != "Adam" and painting.losses[-1]["total"] <= goal:
                break
        lines.append(pd.DataFrame(painting.losses).assign(way=way))
        if way == "Adam":
            goal = min(painting.measure()["total"], painting.losses[-1]["total"])
        else:
            last = painting.losses[-1]["total"]
            shares |= {f"steps_{kind}": painting.done / block.compared if last <= goal else 1.0, f"half_{kind}": last / goal}
    return shares, pd.concat(lines, ignore_index=True)


def _triples(painted: Sequence[tuple[Tensor, list[Tensor], np.ndarray]], wanted: Sequence[tuple[str, list[str]]]) -> Drawing:
    drawing = Drawing((6.3, 2.2 * len(painted)), figures.PHOTOGRAPHIC, layout="constrained")
    for row, (content, styles, picture), (_, names) in zip(drawing.subplots(len(painted), 3, squeeze=False), painted, wanted):
        tiles = [to_bytes(style)[0] for style in styles]
        for axes, shown, title in zip(
            row, (to_bytes(content)[0], np.concatenate(tiles, 1), picture), ("photograph", " and ".join(names), "painted")
        ):
            figures.picture(axes, shown)
            axes.set_title(title, **figures.TEXT)
    return drawing


def _curves(curves: pd.DataFrame) -> Drawing:
    drawing = Drawing((6, 3), figures.SHARP, layout="constrained")
    axes = drawing.subplots()
    for way, rows in curves.groupby("way", sort=False):
        # A coarser scale's losses are those of another picture.
        shown = rows[rows["scale"] == rows["scale"].max()]
        axes.plot(shown["step"], shown["total"], lw=1.6, label=way)
    figures.plain(axes)
    axes.set_yscale("log")
    axes.set_xlabel("step", **figures.TEXT)
    axes.set_title("Objective", loc="left", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing
