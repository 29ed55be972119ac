"""The training of captions by consensus: our own loop, before which the network is shown the training images that it will ask."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from models.caption_consensus import Consensus
from tasks.kinds.caption import describe
from tasks.kinds.caption.objective import Objective
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
    """Train a `models.caption_consensus.Consensus` in place; see `tasks.learning.loop.fit`."""
    assert isinstance(network, Consensus)
    stem = describe.kept(network, train.images, objective.precision)
    network.remember(stem.to(network.features.device), train["sentences"])
    return loop.fit(network, train, val, objective, seed, checkpoint, fingerprint, on_batch, on_epoch)
