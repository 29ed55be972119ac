"""What the study of class visualisation measures and draws."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from torch import Tensor, nn

from tasks.common import bars
from tasks.common.errors import Error
from tasks.imaging import figures
from tasks.inside import CLASSIFIERS, ascent, backbones, work
from tasks.inside.classes import find_class, names
from tasks.learning.tensors import to_bytes, to_float
from tasks.studies.class_visualisation import PRIORS, Block

POINTS = 16  # of a curve
# How a picture is moved to see whether its class stays: shares of a side to the right and down, degrees.
MOVES = [*product((-0.1, 0.1), (-0.1, 0.1), (0.0,)), (0.0, 0.0, -15.0), (0.0, 0.0, 15.0)]


def measure(name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Numbers, tables and figures of `tasks.studies.class_visualisation`."""
    block: Block = studied.block.settings()
    if "network" not in studied.networks:
        raise Error(f"studies.{name}: names no network; give `network` (an experiment) or `embedded`")
    network, configuration = studied.networks["network"]
    if configuration.task != CLASSIFIERS:
        raise Error(f"studies.{name}: {configuration.experiment} is no classifier; a class is drawn by its score")
    if configuration.inputs != ascent.CHANNELS:
        raise Error(
            f"studies.{name}: {configuration.experiment} takes images of {configuration.inputs} channels, and pictures of classes have 3"
        )
    network.requires_grad_(False)
    if not backbones.differentiable(network, configuration.inputs, configuration.size):
        raise Error(
            f"studies.{name}: {configuration.experiment} has no gradients, as nearest neighbours have none; take another network"
        )
    numbers = torch.tensor([find_class(configuration, label) for label in block.classes], device=studied.device)
    judge = _judge(name, block, configuration, studied.device)
    found, curves, rows = {}, [], []
    for prior in bars.track(PRIORS, "priors"):
        settings = ascent.Settings(_steps(block, prior), block.size or configuration.size, block.views, block.seed)
        drawn = ascent.PRIORS[prior](network, numbers, settings)
        for done in work.steps(drawn):
            if done == drawn.steps or done % max(1, drawn.steps // POINTS) == 0:
                curves += _points(prior, done, drawn.picture(), network, judge, numbers, block.classes)
        found[prior] = to_bytes(drawn.picture())
        picture = to_float(torch.from_numpy(found[prior])).to(studied.device)
        for label, values in zip(block.classes, _numbers(picture, network, judge, numbers, configuration)):
            rows.append({"class": label, "prior": prior, **values})
    table = pd.DataFrame(rows)
    out.table("classes", table)
    out.table("ascent", pd.DataFrame(curves))
    figures.save(_pictures(block.classes, found, table), out.plots / "classes.png")
    figures.save(_curves(pd.DataFrame(curves)), out.plots / "ascent.png")
    return _metrics(table)


def _steps(block: Block, prior: str) -> int:
    return block.course_steps if prior == "course" else block.fourier_steps


def _judge(name: str, block: Block, configuration: Any, device: torch.device) -> nn.Module | None:
    """The network that takes no part. Raises Error where its classes are not the network's, or its weights are not there."""
    if block.judge == "none":
        return None
    if configuration.outputs != backbones.IMAGENET:
        raise Error(
            f"studies.{name}: options.judge: {block.judge} knows ImageNet's 1,000 classes, and {configuration.experiment} has "
            f"{configuration.outputs}; take judge: none"
        )
    if block.judge == configuration.network:
        raise Error(f"studies.{name}: options.judge: {block.judge} takes part in the ascent itself; take another one, or none")
    return backbones.classifier(block.judge, device, block.source)


@torch.no_grad()
def shares(network: nn.Module, pictures: Tensor, numbers: Tensor) -> list[float]:
    """The probability of each picture's class."""
    found: list[float] = network(pictures).softmax(1).gather(1, numbers[:, None])[:, 0].tolist()
    return found


def moved_shares(network: nn.Module, pictures: Tensor, numbers: Tensor) -> list[float]:
    """The mean probability of each picture's class, over pictures that are shifted by a tenth and turned by 15 degrees."""
    views = [ascent.moved(pictures, [2 * x, 2 * y], math.radians(turn), 1.0) for x, y, turn in MOVES]
    found: list[float] = torch.tensor([shares(network, view, numbers) for view in views]).mean(0).tolist()
    return found


def _points(
    prior: str, done: int, pictures: Tensor, network: nn.Module, judge: nn.Module | None, numbers: Tensor, labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    own = shares(network, pictures, numbers)
    others = shares(judge, pictures, numbers) if judge else [math.nan] * len(own)
    return [
        {"prior": prior, "step": done, "class": label, "probability": p, "transfer": t}
        for label, p, t in zip(labels, own, others)
    ]


def _numbers(
    pictures: Tensor, network: nn.Module, judge: nn.Module | None, numbers: Tensor, configuration: Any
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"probability": p, "moved": m}
        for p, m in zip(shares(network, pictures, numbers), moved_shares(network, pictures, numbers))
    ]
    if judge:
        with torch.no_grad():
            answers = judge(pictures).argmax(1).tolist()
        own = names(configuration)
        for row, transfer, answer in zip(rows, shares(judge, pictures, numbers), answers):
            row |= {"transfer": transfer, "taken_for": own[answer]}
    return rows


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for prior, rows in table.groupby("prior", sort=False):
        metrics |= {f"probability_{prior}": rows["probability"].mean(), f"least_{prior}": rows["probability"].min()}
        if "transfer" in rows:
            metrics |= {f"transfer_{prior}": rows["transfer"].mean(), f"transfer_least_{prior}": rows["transfer"].min()}
        metrics[f"moved_{prior}"] = rows["moved"].mean()
    return metrics


def _pictures(labels: tuple[str, ...], found: Mapping[str, Any], table: pd.DataFrame) -> Drawing:
    drawing = Drawing((2.1 * len(labels), 2.4 * len(found)), figures.PHOTOGRAPHIC, layout="constrained")
    for row, (prior, pictures) in zip(drawing.subplots(len(found), len(labels), squeeze=False), found.items()):
        for axes, label, picture in zip(row, labels, pictures):
            figures.picture(axes, picture)
            values = table[(table["prior"] == prior) & (table["class"] == label)].iloc[0]
            other = f", other {values['transfer']:.2f}" if "transfer" in values else ""
            axes.set_title(f"{label}, {prior}\n{values['probability']:.2f}{other}", **figures.TEXT)
    return drawing


def _curves(curves: pd.DataFrame) -> Drawing:
    drawing = Drawing((8, 2.9), figures.SHARP, layout="constrained")
    for axes, (prior, rows) in zip(drawing.subplots(1, len(PRIORS)), curves.groupby("prior", sort=False)):
        for label, line in rows.groupby("class", sort=False):
            (drawn,) = axes.plot(line["step"], line["probability"], lw=1.6, label=label)
            axes.plot(line["step"], line["transfer"], lw=1.2, ls="--", color=drawn.get_color())
        figures.plain(axes)
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(f"Probability, {prior}", loc="left", **figures.TEXT)
        axes.set_xlabel("step", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing
