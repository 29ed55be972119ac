"""A map of what counts in a photograph of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks.common.files import write_json
from tasks.imaging.images import center_square, resize, write_png
from tasks.inside import maps
from tasks.inside.classes import find_class
from tasks.inside.saliency import shown
from tasks.looks.asked import Looked, beside, check_out, check_size, described, find_network, photograph
from tasks.params.params import known_to_user
from tasks.profile import Profile

# What keeps less than 0.3 of its map when the network is drawn anew: `rank_*` in full/results/saliency-squeezenet/metrics.json.
PASSES = ("grad-cam",)
DARK = 0.25  # the light that is left of a pixel that does not count


def recommended(network: nn.Module) -> str:
    """The method that is used where none is named: one that passes the check by re-drawn layers.

    A network without convolutions has no features with a place, and gets the plain gradient.
    """
    return PASSES[0] if any(isinstance(module, nn.Conv2d) for module in network.modules()) else "gradient"


def lit(photograph_: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """A photograph (H, W, 3) whose pixels are as bright as they count in a map (H, W): uint8 all."""
    light = DARK + (1 - DARK) / 255 * grey[..., None]
    return (photograph_ * light).round().astype(np.uint8)


def explain(
    looked: Looked, pixels: np.ndarray, label: str | None, method: str, size: int, settings: maps.Settings = maps.DEFAULT
) -> tuple[np.ndarray, dict[str, Any]]:
    """The map of the middle square, grey levels uint8 (size, size), and which class it explains.

    Raises Error for a class that the network does not have, and for a method that it does not allow.
    """
    asked = None if label is None else find_class(looked.configuration, label)
    images = looked.tensor(looked.square(pixels, size))
    logits = looked.scores(images)
    number = int(logits.argmax()) if asked is None else asked
    found = maps.in_batches(method, looked.network, images, torch.tensor([number], device=looked.device), settings)
    about = {"class": looked.names[number], "probability": float(logits.softmax(0)[number]), "top": looked.top(logits)}
    return shown(found[0].cpu().numpy()), about


def saliency(
    profile: Profile,
    network: str,
    photograph_: Path,
    out: Path,
    label: str | None = None,
    method: str | None = None,
    size: int | None = None,
    settings: maps.Settings = maps.DEFAULT,
) -> dict[str, Any]:
    """Write the map of a photograph's middle square, beside it the photograph in its light (name-lit.png); return what was done.

    `label`: the class that is explained, the most probable one by default. `method`: `recommended` by default. `size`: pixels of a side of
    what the network sees, its own by default. Raises Error for what does not exist or does not fit, before any work.
    """
    if method is not None:
        known_to_user(method, maps.METHODS, "method")
    bright = beside(out, "lit")
    check_out(out, photograph_, second=bright)
    looked = find_network(profile, network)
    wanted = check_size(size or looked.configuration.size)
    looked.check_size(wanted)
    pixels, chosen = photograph(photograph_), method or recommended(looked.network)
    grey, about = explain(looked, pixels, label, chosen, wanted, settings)
    side = min(pixels.shape[:2])
    large = resize(np.repeat(grey[..., None], 3, axis=2), side, side)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(out, large)
    write_png(bright, lit(center_square(pixels, side), large[..., 0]))
    done = {
        "study": "saliency",
        "network": network,
        "weights": looked.digest,
        "photograph": described(photograph_, pixels),
        "size": wanted,
        "method": chosen,
        **about,
        "samples": settings.samples,
        "seed": settings.seed,
    }
    write_json(out.with_suffix(".json"), done)
    return done
