"""Generation: a step of adversaries against the course's way, and samples in batches against one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import models
from benchmarks.timing import compare
from benchmarks.training import Pictures, our_loop
from models import Shape
from tasks import config
from tasks.common import devices
from tasks.datasets import data
from tasks.kinds.generate.objective import samples
from tasks.params.recipe import Recipe
from tasks.profile import Profile

NAME = "gan-dc"
ARCHITECTURE = {"layers": "conv", "generator": [64], "discriminator": [32]}
STEPS, SAMPLES, ALONE = 10, 10_000, 200


def prepared(root: Path) -> tuple[Profile, str]:
    """The full profile's experiment where MNIST is prepared for it, else the sample's adversary by convolutions, as wide and unmended."""
    full = config.load(root / "full")
    if (full.processed("digits") / "dataset.json").exists():
        return full, NAME
    changes = {"experiments": {"gan-dc-tuned": {"architecture": {**ARCHITECTURE, "r1": 0.0}, "train": {"batch_size": 128}}}}
    return config.load(root, changes), "gan-dc-tuned"


def course(recipe: Recipe, folder: Path, steps: int) -> Callable[[], int]:
    """The same number of steps as the course takes them: a DataLoader, images drawn anew for each part, fp32, contiguous memory."""
    network = models.build("gan", Shape(1, 1, data.info(folder).size), ARCHITECTURE)
    generator, discriminator = network.parts().values()  # type: ignore[operator]
    latent = int(network.latent)  # type: ignore[arg-type]
    optimizers = [
        torch.optim.Adam(part.parameters(), recipe.optimizer.lr, betas=(0.5, 0.999)) for part in (generator, discriminator)
    ]
    pictures = Pictures(data.Data(folder, "train"), v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]))
    pictures.data = pictures.data[..., 0]

    def judged(images: Tensor, truth: float) -> Tensor:
        scores = discriminator(images)
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))

    def step(part: int, loss: Tensor) -> None:
        optimizers[part].zero_grad()
        loss.backward()
        optimizers[part].step()

    def run_steps() -> int:
        loader: DataLoader[Any] = DataLoader(pictures, recipe.batch_size, shuffle=True, drop_last=True)
        for _, (real, _) in zip(range(steps), loader):
            noise = [torch.randn(len(real), latent) for _ in range(2)]
            step(1, judged(2 * real - 1, 1.0) + judged(generator(noise[0]).detach(), 0.0))
            step(0, judged(generator(noise[1]), 1.0))
        return steps * recipe.batch_size

    return run_steps


def drawn(network: nn.Module, count: int, at_once: int, precision: str) -> Callable[[], int]:
    """Samples, so many at once, as a function that returns how many they were."""

    def draw() -> int:
        for number in range(count // at_once):
            samples(network, at_once, number, precision=precision)
        return count

    return draw


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root)
    recipe, folder = profile.experiment(name).train, profile.processed(profile.experiment(name).data)
    size = data.info(folder).size
    network = models.build("gan", Shape(1, 1, size), ARCHITECTURE).eval()
    # As weights are loaded and evaluations draw.
    ours = models.build("gan", Shape(1, 1, size), ARCHITECTURE).to(memory_format=torch.channels_last).eval()
    precision = devices.precision("auto", torch.device("cpu"))
    return [
        compare(
            "training_gan_dc",
            our_loop(profile, name, STEPS),
            course(recipe, folder, STEPS),
            unit="images",
            description="training of the course's convolutional adversaries: our loop against a DataLoader, fp32, two draws of fakes a step",
            floor=2.0,
            dataset=data.info(folder).dataset,
        ),
        compare(
            "samples_gan_dc",
            drawn(ours, SAMPLES, SAMPLES, precision),
            drawn(network, ALONE, 1, "fp32"),
            unit="samples",
            description=f"samples of the course's convolutional generator: {SAMPLES:,} at once, as evaluations draw them, against one by one in fp32",
            floor=10.0,
            repeats=3,
            precision=precision,
        ),
    ]
