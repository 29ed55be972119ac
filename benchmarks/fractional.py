"""The tuned classifier's training: our loop against the published one, and what each takes to 83 % on validation.

The published loop: torch's DataLoader in one process over tensors in memory, transforms of whole batches, fp32, contiguous,
torch's own FractionalMaxPool2d and Mish, Adam with amsgrad, 125 images a batch.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from benchmarks.timing import compare
from benchmarks.training import prepared
from models import Shape, fractional
from tasks import data, train, training

STEPS = 10
BATCH = 125


class XPlusMish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + F.mish(x)


def published(shape: Shape) -> nn.Sequential:
    """The same layers in the published order, of torch's own parts: convolution - batch norm - activation - pooling."""
    parts: list[nn.Module] = []
    pool: nn.Module | None = None
    for module in fractional.build(shape):
        match module:
            case fractional.Convolution():
                parts += [*module.layers, module.norm]  # type: ignore[list-item]
            case fractional.Channels():
                pass
            case fractional.FractionalMaxPool2d():
                pool = nn.FractionalMaxPool2d(2, output_size=module.size)
            case fractional.Activation():
                parts += [XPlusMish(), *([pool] if pool else [])]
                pool = None
            case _:
                parts.append(module)
    return nn.Sequential(*parts)


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root, "fractional")
    experiment = profile.experiment(name)
    recipe = experiment.train
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    split = data.Data(folder, "train")

    torch.manual_seed(0)
    fast = train.describe(profile, name, info, 0).build().to(memory_format=torch.channels_last)
    examples = training.Examples.of(split, info.task, torch.device("cpu"))
    objective = training.OBJECTIVES[info.task](recipe, info, fast)
    step = training.Step(fast, objective, recipe, 10_000)

    def ours() -> int:
        fast.train()
        rng = np.random.default_rng(0)
        for _, rows in zip(range(STEPS), training.batches(len(examples), recipe.batch_size, rng)):
            step(*training.draw(examples, rows, recipe, objective, rng))
        return STEPS * recipe.batch_size

    slow = published(Shape(info.channels, info.outputs, info.size))
    optimizer = torch.optim.Adam(slow.parameters(), 1e-3, amsgrad=True)
    images = training.to_float(torch.from_numpy(split.images)).contiguous()
    loader = DataLoader(TensorDataset(images, torch.from_numpy(split.labels)), BATCH, shuffle=True, num_workers=0)
    transform = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(info.size, padding=4), v2.Normalize(info.mean, info.std)])

    def theirs() -> int:
        slow.train()
        for _, (inputs, labels) in zip(range(STEPS), loader):
            loss = F.cross_entropy(slow(transform(inputs)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return STEPS * BATCH

    return [
        compare(
            "training_fractional",
            ours,
            theirs,
            unit="images",
            description=f"training of {profile.name}'s fractional: our loop against the published one "
            "(DataLoader in one process, batch transforms, fp32, torch's own pooling and Mish, Adam with amsgrad)",
            floor=2.0,
            dataset=info.dataset,
        )
    ]
