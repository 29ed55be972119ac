"""A step of painting: targets computed once, channels_last, nothing after the last layer, against the course's way, which computes all anew."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.timing import compare
from tasks.inside import backbones, painting
from tasks.inside.style import Painting, Settings
from tasks.studies.style import WEIGHTS

STEPS = 4
SIZE = 256


def run(root: Path) -> list[dict[str, Any]]:
    content, style = (painting.as_picture(painting.photograph(name), SIZE) for name in ("china", "ihc"))
    weights = WEIGHTS["squeezenet"]
    settings = Settings(steps=10_000, content=weights[0], style=(weights[1],), variation=weights[2])
    ours = Painting(backbones.features("squeezenet"), content, [(style, 1.0)], settings)
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
            loss = loss + weights[2] * (image.diff(dim=2).square().sum() + image.diff(dim=3).square().sum())
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                image.clamp_(-1.5, 1.5)
        return STEPS

    def once() -> int:
        for _ in range(STEPS):
            ours.advance()
        return STEPS

    return [
        compare(
            "style",
            once,
            as_the_course,
            unit="steps",
            description="Painting at 256 px with SqueezeNet: targets once and channels_last against the course's way, fp32 both",
            floor=2.0,
        )
    ]
