"""What images are compared by: a network whose weights are random and always the same, and the judge of an experiment.

Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models, section 3.2: where images are not ImageNet's, such as
digits, random features tell good samples from bad ones as well as learned ones do. They take no training and no test data, so that
validation can go by them.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from tasks.learning.tensors import autocast
from tasks.learning.weights import Configuration

BATCH = 500
RANDOM_FEATURES = 64
WIDTHS = (32, 64, 64)


def random_network(channels: int) -> nn.Module:
    """Images (N, C, H, W) to (N, 64): three convolutions of stride 2, and the mean over the places of the last."""
    generator = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layer = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / layer.weight[0].numel()) ** 0.5)
        layers += [layer, nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@torch.inference_mode()
def features(network: nn.Module, images: Tensor, precision: str = "fp32") -> np.ndarray:
    """A network's outputs, float64 (N, D), of images (N, C, H, W) in [0, 1]."""
    device = next(network.parameters()).device
    found = []
    for batch in images.split(BATCH):
        with autocast(device, precision):
            found.append(network(batch.to(device)).float().cpu())
    return torch.cat(found).double().numpy()


class Judge:
    """A trained classifier: the features before its last layer, and the classes that it sees."""

    def __init__(self, network: nn.Module, configuration: Configuration) -> None:
        """Raises ValueError for a network without a last linear layer."""
        self.network, self.configuration = network, configuration
        layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise ValueError(f"judge: {configuration.network} has no linear layer at its end; take another classifier")
        self.last = layers[-1]

    def digest(self) -> str:
        """SHA-256 of its weights."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    @torch.inference_mode()
    def look(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Features, float64 (N, D), and classes, int64 (N,), of images (N, C, H, W) in [0, 1]."""
        seen: list[Tensor] = []
        hook = self.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
        try:
            scores = features(self.network, images)
        finally:
            hook.remove()
        return torch.cat(seen).double().numpy(), scores.argmax(1)
