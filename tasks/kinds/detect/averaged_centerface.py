"""A weighted mean of CenterFace's published weights and those of its predecessor, in place of a training."""

import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

from models.averaged_centerface import AveragedCenterFace
from tasks.common.errors import Error
from tasks.faces.centerface import find
from tasks.kinds.detect.averaging import mean
from tasks.kinds.detect.centerface import begin
from tasks.kinds.detect.objective import Objective, measure
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
    """Average a CenterFace as published with its predecessor, in place; see `tasks.learning.loop.fit`. It takes seconds, and leaves no checkpoint.

    Raises Error where no CenterFace comes before, for more than one epoch, and where the package of the published weights is not installed.
    """
    assert isinstance(network, AveragedCenterFace)
    tuned = objective.predecessor.state_dict() if objective.predecessor is not None else {}
    if {name: tensor.shape for name, tensor in tuned.items()} != {
        name: tensor.shape for name, tensor in network.state_dict().items()
    }:
        raise Error("after: name an experiment with the network centerface; averaging needs both ends")
    if objective.recipe.epochs != 1:
        raise Error("train.epochs: nothing is trained here, and the mean is measured once; say 1")
    start = time.perf_counter()
    begin(network, find())
    network.load_state_dict(mean(network.state_dict(), tuned, network.share))
    scores = measure(network, val, objective.info, objective.precision)
    seconds = time.perf_counter() - start
    row = {"epoch": 1, "lr": 0.0, "seconds": seconds} | {f"val_{name}": value for name, value in scores.items()}
    on_epoch(row)
    return Run(epoch=1, seconds=seconds, history=[row], kept=1)
