"""The Pix2Pix training step against the same networks in fp32, contiguous memory, eager."""

from pathlib import Path
from typing import Any

import torch

import models
from benchmarks.timing import compare
from tasks import config
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import autocast

STEPS = 3
SIZE = 128


def run(root: Path) -> list[dict[str, Any]]:
    experiment = config.load(root / "full").experiment("pix2pix")
    recipe = experiment.train
    images = torch.rand(recipe.batch_size, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    targets = images.mean(1, keepdim=True)

    def steps(precision: str, layout: torch.memory_format) -> Any:
        torch.manual_seed(0)
        network = models.build(experiment.network, models.Shape(3, 1, SIZE), experiment.architecture).to(memory_format=layout)
        updates = Updates(network, recipe, 10_000)
        inputs = images.to(memory_format=layout)

        def work() -> int:
            for _ in range(STEPS):
                with autocast(inputs.device, precision):
                    network.training_step(inputs, targets, updates)  # type: ignore[operator]
            return STEPS * recipe.batch_size

        return work

    return [
        compare(
            "training_pix2pix",
            steps("bf16", torch.channels_last),
            steps("fp32", torch.contiguous_format),
            unit="images",
            description="Pix2Pix training step at 128 px: bf16 in channels_last against fp32 contiguous",
            floor=1.5,
        )
    ]
