"""The tuned classifier's training: our loop against the published one.

The published loop: torch's DataLoader in one process over tensors in memory, transforms of whole batches, fp32, contiguous,
torch's own FractionalMaxPool2d and Mish, Adam with amsgrad, 125 images a batch.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from benchmarks.timing import compare, rate
from benchmarks.training import our_loop, prepared
from models import Shape, fractional
from tasks.datasets import data
from tasks.kinds.classify.data import labels as labels_of
from tasks.kinds.classify.data import shape
from tasks.learning.tensors import to_float

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


class Published:
    """The published loop on the training images of a prepared data set."""

    def __init__(self, folder: Path) -> None:
        info, split = data.info(folder), data.Data(folder, "train")
        torch.manual_seed(0)
        self.network = published(shape(info))
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, amsgrad=True)
        images = to_float(torch.from_numpy(split.images)).contiguous()
        self.loader = DataLoader(TensorDataset(images, torch.from_numpy(labels_of(split))), BATCH, shuffle=True, num_workers=0)
        self.transform = v2.Compose(
            [v2.RandomHorizontalFlip(), v2.RandomCrop(info.size, padding=4), v2.Normalize(info.mean, info.std)]
        )

    def steps(self) -> int:
        """Take some steps, and return how many images they saw."""
        self.network.train()
        for _, (inputs, labels) in zip(range(STEPS), self.loader):
            loss = F.cross_entropy(self.network(self.transform(inputs)), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return STEPS * BATCH

    def images_a_second(self) -> float:
        return rate(self.steps)


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root, "fractional")
    folder = profile.processed(profile.experiment(name).data)
    return [
        compare(
            "training_fractional",
            our_loop(profile, name, STEPS),
            Published(folder).steps,
            unit="images",
            description=f"training of {profile.name}'s fractional: our loop against the published one "
            "(DataLoader in one process, batch transforms, fp32, torch's own pooling and Mish, Adam with amsgrad)",
            floor=2.0,
            dataset=data.info(folder).dataset,
        )
    ]
