"""Weighted means of CenterFace's published weights and those of its predecessor (`tasks.kinds.detect.averaging`)."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from models.centerface import CenterFace
from tasks.faces.centerface import find
from tasks.kinds.detect import averaging
from tasks.kinds.detect.centerface import begin
from tasks.kinds.detect.objective import Objective
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
    """Average a CenterFace as published with its predecessor, in place; see `tasks.kinds.detect.averaging.fit`.

    Raises Error as that does, and where the package of the published weights is not installed.
    """
    assert isinstance(network, CenterFace)
    begin(network, find())
    return averaging.fit(network, train, val, objective, seed, checkpoint, fingerprint, on_batch, on_epoch)
