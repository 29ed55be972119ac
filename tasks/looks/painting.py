"""A photograph of one's own in the style of others."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import sha256, write_json
from tasks.imaging.images import resize, write_png
from tasks.inside import backbones, work
from tasks.inside.style import RECIPES, SMALLEST, Optimizer, Painting, Settings
from tasks.learning import pretrained
from tasks.learning.tensors import to_bytes, to_float
from tasks.looks.asked import check_out, check_size, described, photograph, record
from tasks.params.params import known_to_user
from tasks.params.study import EMBEDDED
from tasks.profile import Profile
from tasks.studies.style import OWN, WEIGHTS

LARGEST, STEPS = 1400, 5000  # under two megapixels, which need no tiles
SOURCES = ("package", "url", "mirror", "path")
UNITS = {"squeezenet": 1.0, "vgg19": 20.0}


def settings(recipe: str = "squeezenet", backbone: str = "squeezenet", strength: float = 1.0, **changes: Any) -> Settings:
    """A recipe's settings on a backbone. `strength`: a factor of the style's weight. Raises Error for what is not known or out of bounds."""
    known_to_user(recipe, RECIPES, "recipe")
    known_to_user(backbone, backbones.BACKBONES, "backbone")
    if not 0 < strength <= 1000:
        raise Error(f"strength: {strength}, but allowed is what lies above 0, up to 1000")
    for word, allowed in (("optimizer", get_args(Optimizer)), ("start", ("content", "noise"))):
        known_to_user(changes.get(word, allowed[0]), allowed, word)
    content, style, variation = WEIGHTS[recipe]
    unit = None if backbone == OWN and recipe == OWN else UNITS[recipe]
    if backbone == OWN and unit is not None:
        raise Error("vgg19: takes the recipe vgg19 alone, since the scale of its activations is not known here")
    chosen = Settings(recipe, backbone, content=content, style=(style * strength,), variation=variation, unit=unit)
    chosen = replace(chosen, **changes)
    if not 1 <= chosen.steps <= STEPS:
        raise Error(f"steps: {chosen.steps}, but allowed are 1 to {STEPS}")
    return chosen


def digest(backbone: str, path: Path | None = None) -> str:
    """The SHA-256 of a backbone's weights. `path`: their file, if it is one's own; of other published ones it is the published beginning."""
    if backbone == OWN:
        return sha256(path) if path else backbones.VGG19.sha256
    published = pretrained.SOURCES.get(backbone)
    return published.sha256 if published else sha256(EMBEDDED / f"{backbone}.safetensors")


def fitted(pixels: np.ndarray, size: int, device: torch.device | str = "cpu") -> Tensor:
    """A photograph whose long side has at most `size` pixels, (1, 3, H, W) in [0, 1]."""
    height, width = pixels.shape[:2]
    scale = min(1.0, size / max(height, width))
    small = resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    return to_float(torch.tensor(small[None])).to(device)


def paint(
    profile: Profile,
    content: Path,
    styles: Sequence[Path],
    out: Path,
    chosen: Settings,
    size: int = 512,
    shares: Sequence[float] = (),
    source: str = "package",
    path: Path | None = None,
) -> dict[str, Any]:
    """Write the content in the styles, and return what was done. A work that was interrupted is gone on with.

    `size`: pixels of the long side, of styles as well. `shares`: of styles, equal ones by default. `source`, `path`: where VGG-19's weights
    come from. Raises Error for what does not exist or does not fit, before any work.
    """
    check_out(out, content, *styles)
    check_size(size, SMALLEST, LARGEST)
    known_to_user(source, SOURCES, "source")
    if (source == "path") != (path is not None):
        raise Error("path: needed with source path, and with no other")
    if chosen.backbone != OWN and source != SOURCES[0]:
        raise Error(f"source: {source} is for the weights of {OWN}; those of {chosen.backbone} are there")
    if not styles:
        raise Error("no style: name at least one picture whose style is taken")
    weights = [*shares] or [1.0] * len(styles)
    if len(weights) != len(styles) or any(not 0 < share < math.inf for share in weights):
        raise Error(f"shares: {len(weights)} of {len(styles)} styles; give one above 0 for each, in their order")
    pixels = {file: photograph(file) for file in (content, *styles)}
    if any(sha256(file) == sha256(content) for file in styles):
        raise Error(
            f"{content}: content and style are the same picture, so nothing would change; the content comes first, then its style"
        )
    device = devices.choose(profile.params.device)
    network = backbones.features(chosen.backbone, device, source, str(path) if path else None)
    painted = fitted(pixels[content], size, device)
    if min(painted.shape[2:]) < SMALLEST:
        raise Error(
            f"{content}: its short side would have {min(painted.shape[2:])} pixels, and at least {SMALLEST} are needed; give a larger size"
        )
    painting = Painting(network, painted, [(fitted(pixels[s], size, device), w) for s, w in zip(styles, weights)], chosen)
    asked = {
        "study": "style",
        "system": f"style-{chosen.recipe}",
        "weights": digest(chosen.backbone, path),
        "content": described(content, pixels[content]),
        "styles": [{**described(s, pixels[s]), "share": w / sum(weights)} for s, w in zip(styles, weights)],
        "size": size,
        # By themselves: `content` and `style` are weights of losses there.
        "settings": {**asdict(chosen), "style": [*chosen.style]},
    }
    start = painting.measure()
    out.parent.mkdir(parents=True, exist_ok=True)
    began = work.finish(painting, "painting", record(out), asked)
    picture = to_bytes(painting.picture())[0]
    write_png(out, picture)
    done = {
        **asked,
        "width": picture.shape[1],
        "height": picture.shape[0],
        "gone_on_from": began,
        "start": start,
        "losses": painting.measure(),
    }
    write_json(out.with_suffix(".json"), done)
    return done
