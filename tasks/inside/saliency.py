"""What the study of saliency measures and draws."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from torch import Tensor, nn

from tasks.common import bars, devices
from tasks.common.errors import Error
from tasks.datasets.data import Data, Info
from tasks.imaging import figures
from tasks.inside import CLASSIFIERS, DETECTION, framing, maps, sanity, voc
from tasks.kinds.detect import data as detection
from tasks.kinds.detect.detections import CORNERS
from tasks.learning.tensors import predict, to_float
from tasks.studies.saliency import Block, key

IMAGENET = 1000


def measure(name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Maps of validation's photographs by each method, and their numbers; `tasks.studies.saliency` says what they are."""
    block: Block = studied.block.settings()
    if "network" not in studied.networks:
        raise Error(f"studies.{name}: names no network; give `network` (an experiment) or `embedded`")
    network, configuration = studied.networks["network"]
    if configuration.task != CLASSIFIERS:
        raise Error(f"studies.{name}: {configuration.experiment} is no classifier; saliency explains the scores of classes")
    network.requires_grad_(False)
    data = Data(studied.data, "val")
    rows = range(len(data.images))[block.left_out :][: block.photographs]
    if not rows:
        raise Error(
            f"studies.{name}: options.left_out: {block.left_out} of {len(data.images)} photographs of validation; leave out fewer"
        )
    photographs, boxes = _looked_at(data, studied.info, rows, block)
    if photographs.shape[-1] != configuration.inputs:
        raise Error(
            f"studies.{name}: images of {photographs.shape[-1]} channels, and a network that takes {configuration.inputs}; name other data"
        )
    settings = maps.Settings(block.samples, seed=block.seed)
    images = to_float(torch.tensor(photographs)).to(studied.device)
    logits = torch.from_numpy(predict(network, photographs, studied.device, precision="fp32"))
    classes = logits.argmax(1).to(studied.device)
    measured = replace(settings, precision=devices.precision(block.precision, studied.device))
    found = {m: maps.in_batches(m, network, images, classes, measured) for m in bars.track(block.methods, "maps")}

    areas, curves = _areas(network, images, classes, found, block)
    out.table("per_image", areas.assign(file=data.index["file"].to_numpy()[rows.start + areas["image"]]))
    out.table("curves", curves)
    checked = _check(network, images[: block.checked], classes[: block.checked], block, settings)
    out.table("sanity", checked)
    means = areas.groupby("method")[["insertion", "deletion"]].mean()
    ranks = checked[checked["redrawn"] == checked["redrawn"].max()].set_index("method")["correlation"]
    failing = [m for m in block.methods if abs(ranks[m]) >= sanity.PASSES]
    names = configuration.classes or tuple(map(str, range(configuration.outputs)))
    figures.save(_strip(photographs, found, areas, [names[i] for i in classes.tolist()], failing), out.plots / "strip.png")
    figures.save(_curves(curves), out.plots / "curves.png")
    figures.save(_sanity(checked), out.plots / "sanity.png")
    return {
        **{key(what, m): means.loc[m, what] for what in ("insertion", "deletion") for m in block.methods},
        **{key("rank", m): ranks[m] for m in block.methods},
        **_pointing(network, images, logits, found, boxes, studied.info.classes, measured),
        "failing": len(failing),
    }


def _looked_at(data: Data, info: Info, rows: range, block: Block) -> tuple[np.ndarray, pd.DataFrame | None]:
    """The photographs of some rows, uint8 (N, H, W, C), and the boxes in them; None for data without boxes."""
    photographs = data.images[rows.start : rows.stop]
    boxes = None
    if info.task == DETECTION:
        table = detection.boxes(data)
        boxes = table[table["image"].between(rows.start, rows.stop - 1)].assign(image=lambda of: of["image"] - rows.start)
    if block.frame == "middle":
        sizes = framing.extents(data, info)[rows.start : rows.stop]
        boxes = None if boxes is None else framing.in_middles(boxes, sizes, photographs.shape[1])
        photographs = framing.middles(photographs, sizes)
    return photographs, boxes


def _areas(
    network: nn.Module, images: Tensor, classes: Tensor, found: Mapping[str, Tensor], block: Block
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row an image and method with both areas, and the mean curves."""
    rows, curves = [], []
    # From and to: pixels come into a blurred image, and black comes into the image.
    ways = {"insertion": (images, maps.blurred(images)), "deletion": (torch.zeros_like(images), images)}
    ends = {
        what: torch.stack([sanity.probabilities(network, of, classes) for of in (old, new)], 1).cpu().numpy()
        for what, (new, old) in ways.items()
    }
    for method in bars.track(list(found), "insertion and deletion"):
        lines = {
            what: np.stack(
                [
                    sanity.curve(network, new[i], old[i], found[method][i], int(classes[i]), block.steps, ends[what][i])
                    for i in range(len(images))
                ]
            )
            for what, (new, old) in ways.items()
        }
        rows += [
            {"image": i, "method": method, **{what: sanity.area(values[i]) for what, values in lines.items()}}
            for i in range(len(images))
        ]
        shares = np.linspace(0, 1, block.steps + 1)
        curves.append(pd.DataFrame({"method": method, "share": shares, **{what: v.mean(0) for what, v in lines.items()}}))
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True)


def _check(network: nn.Module, images: Tensor, classes: Tensor, block: Block, settings: maps.Settings) -> pd.DataFrame:
    """A row a method and number of layers that were re-drawn: the mean rank correlation with the trained network's maps.

    All are in fp32: what bf16 changes in both maps would make each method look better than it is.
    """
    found = {m: maps.in_batches(m, network, images, classes, settings) for m in block.methods}
    rows = []
    for number, (layer, drawn) in enumerate(sanity.randomised(network, block.layers, block.seed), 1):
        for method, own in found.items():
            theirs = maps.in_batches(method, drawn, images, classes, settings)
            correlations = [sanity.rank_correlation(a.cpu().numpy(), b.cpu().numpy()) for a, b in zip(own, theirs)]
            rows.append({"method": method, "redrawn": number, "layer": layer, "correlation": float(np.mean(correlations))})
    return pd.DataFrame(rows)


def _pointing(
    network: nn.Module,
    images: Tensor,
    logits: Tensor,
    found: Mapping[str, Tensor],
    boxes: pd.DataFrame | None,
    names: Sequence[str],
    settings: maps.Settings,
) -> dict[str, float]:
    """The pointing game: an object of each class that an image has, its most probable class of ImageNet explained. Empty without such."""
    if boxes is None or logits.shape[1] != IMAGENET:
        return {}
    table = boxes[~boxes["difficult"] & boxes["label"].map(lambda label: bool(voc.imagenet(names[label])))]
    pairs = table[["image", "label"]].drop_duplicates().to_numpy().tolist()
    own = [table[(table["image"] == i) & (table["label"] == n)][CORNERS].to_numpy() for i, n in pairs]
    asked = [(i, names[n], into) for (i, n), into in zip(pairs, own)]
    if not asked:
        return {}
    chosen = [(numbers := voc.imagenet(name))[int(logits[i, numbers].argmax())] for i, name, _ in asked]
    rows, classes = torch.tensor([i for i, _, _ in asked], device=images.device), torch.tensor(chosen, device=images.device)
    # Maps of the most probable classes are there already.
    other = (classes != logits.argmax(1).to(rows.device)[rows]).nonzero()[:, 0]
    hits = {}
    for method, maps_ in bars.track(list(found.items()), "pointing game"):
        pointed = maps_[rows]
        if len(other):
            pointed[other] = maps.in_batches(method, network, images[rows[other]], classes[other], settings)
        hits[key("pointing", method)] = float(
            np.mean([sanity.points_into(one, into) for one, (_, _, into) in zip(pointed.cpu().numpy(), asked)])
        )
    chance = float(np.mean([sanity.covered(into, *images.shape[2:]) for _, _, into in asked]))
    return {**hits, "pointing_chance": chance}


def _strip(
    photographs: np.ndarray, found: Mapping[str, Tensor], areas: pd.DataFrame, names: list[str], failing: list[str]
) -> Drawing:
    order = areas[areas["method"] == next(iter(found))].sort_values("insertion", kind="stable")["image"].to_numpy()
    places = dict.fromkeys(int(order[round(place * (len(order) - 1))]) for place in figures.SHOWN.values())
    drawing = Drawing((1.7 * (1 + len(found)), 1.8 * len(places)), figures.PHOTOGRAPHIC, layout="constrained")
    axes = drawing.subplots(len(places), 1 + len(found), squeeze=False)
    for row, image in zip(axes, places):
        figures.picture(row[0], photographs[image])
        row[0].set_title(names[image], **figures.TEXT)
        for cell, (method, maps_) in zip(row[1:], found.items()):
            figures.picture(cell, shown(maps_[image].cpu().numpy()), figures.ERRORS)
            cell.set_title(f"{method}\n(fails the check)" if method in failing else method, **figures.TEXT)
    return drawing


def shown(saliency: np.ndarray) -> np.ndarray:
    """A map (H, W) as grey levels, uint8, its 99th percentile and what is above it white."""
    top = float(np.percentile(saliency, 99)) or float(saliency.max()) or 1.0
    return (saliency / top * 255).clip(0, 255).astype(np.uint8)


def _curves(curves: pd.DataFrame) -> Drawing:
    drawing = Drawing((8, 3), figures.SHARP, layout="constrained")
    for axes, what in zip(drawing.subplots(1, 2), ("insertion", "deletion")):
        for method, rows in curves.groupby("method", sort=False):
            axes.plot(rows["share"], rows[what], lw=1.6, label=method)
        figures.plain(axes)
        axes.set_title(f"Probability, {what}", loc="left", **figures.TEXT)
        axes.set_xlabel("share of pixels", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing


def _sanity(checked: pd.DataFrame) -> Drawing:
    drawing = Drawing((8, 3.2), figures.SHARP, layout="constrained")
    axes = drawing.subplots()
    for method, rows in checked.groupby("method", sort=False):
        axes.plot([0, *rows["redrawn"]], [1, *rows["correlation"]], lw=1.6, marker="o", ms=3, label=method)
    axes.axhspan(-sanity.PASSES, sanity.PASSES, color=figures.FAINT, lw=0)
    layers = checked.drop_duplicates("redrawn")["layer"]
    axes.set_xticks(range(len(layers) + 1), ["none", *layers], rotation=30, ha="right")
    figures.plain(axes)
    axes.set_title("Rank correlation, down to which layer the network is re-drawn", loc="left", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing
