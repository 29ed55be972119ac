"""Maps by the plain gradient of many photographs at once, against the course's way: one photograph after another.

Ours are in channels_last, and in bf16 where a processor has it, as the study measures them. The course's are in fp32.
"""

from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import compare
from tasks.common import devices
from tasks.inside import maps
from tasks.learning import weights

PHOTOGRAPHS = 32  # of the thousand that the promise is of: the rate is the same
SIZE = 224
BATCH = 16


def run(root: Path) -> list[dict[str, Any]]:
    path = root / "models" / "weights" / "squeezenet.safetensors"
    ours, theirs = weights.load(path)[0], weights.load(path)[0].to(memory_format=torch.contiguous_format)
    ours.requires_grad_(False)
    images = torch.rand(PHOTOGRAPHS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(PHOTOGRAPHS)
    precision = devices.precision("auto", torch.device("cpu"))
    settings = maps.Settings(precision=precision)

    def together() -> int:
        photographs = images.to(memory_format=torch.channels_last)
        maps.in_batches("gradient", ours, photographs, classes, settings, BATCH)
        return PHOTOGRAPHS

    def one_by_one() -> int:
        for image, label in zip(images, classes):
            pixels = image[None].clone().requires_grad_()
            theirs.zero_grad()
            theirs(pixels)[0, label].backward()
            assert pixels.grad is not None
            pixels.grad.abs().max(1)
        return PHOTOGRAPHS

    return [
        compare(
            "saliency",
            together,
            one_by_one,
            unit="maps",
            description=f"Saliency maps at 224 px by SqueezeNet: batches in channels_last and {precision} against one photograph at a time in fp32",
            floor=3.0,
        )
    ]
