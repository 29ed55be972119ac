"""What runs in a process of Ray's: one trial of a sweep, here or on another machine.

Trials get the data from Ray's object store, a copy a machine that all its trials share, and on a cluster the code as Ray's working
folder: no machine needs our files. Checkpoints are written on the machine that the sweep was started on; trials elsewhere hand
theirs to an actor there, an epoch at a time.
"""

import os
import shutil
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import tune

from tasks import kinds
from tasks.common import devices
from tasks.common.files import atomic, private_folder
from tasks.datasets.data import Info
from tasks.learning import weights
from tasks.learning.building import fitter, pretrain
from tasks.learning.tensors import Examples
from tasks.params.experiment import Experiment


@dataclass(frozen=True)
class Work:
    """What all trials share."""

    arrays: dict[str, dict[str, np.ndarray]]  # by split and name, in Ray's object store
    info: Info
    device: str
    seed: int
    threads: int
    fingerprint: str
    folder: Path  # of the checkpoints, on the machine of the sweep
    node: str = ""  # that machine
    files: Any = None  # the actor that reads and writes there

    def examples(self, split: str, device: torch.device) -> Examples:
        return Examples.of(self.arrays[split], device)

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for arrays in self.arrays.values() for array in arrays.values())

    def mark(self, number: int) -> str:
        """What a trial's checkpoint belongs to."""
        return f"{self.fingerprint}-{number}"


def checkpoint(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.pt"


class Files:
    """The checkpoints, for trials on other machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, number: int) -> bytes | None:
        path = checkpoint(self.folder, number)
        return path.read_bytes() if path.exists() else None

    def write(self, number: int, content: bytes) -> None:
        with atomic(checkpoint(self.folder, number)) as temporary:
            temporary.write_bytes(content)


def fit(
    configuration: weights.Configuration,
    experiment: Experiment,
    work: Work,
    number: int,
    path: Path,
    on_epoch: Callable[[Any], None],
) -> torch.nn.Module:
    """Train a trial's network on from its checkpoint; of one that is finished, give it its weights."""
    device = devices.choose(work.device)
    torch.manual_seed(work.seed)
    network = configuration.build()
    pretrain(network, experiment)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train, val = (work.examples(split, device) for split in ("train", "val"))
    precision = devices.precision(experiment.train.precision, device)
    objective = kinds.part(work.info.task, "objective").Objective(experiment.train, work.info, network, precision)
    fitter(experiment)(network, train, val, objective, work.seed, path, work.mark(number), on_epoch=on_epoch)
    return network


def run_trial(config: dict[str, Any], work: Work) -> None:
    """One trial, in a process of Ray's: reports each epoch, and how it failed."""
    number = config["number"]
    torch.set_num_threads(work.threads)
    at_home = ray.get_runtime_context().get_node_id() == work.node
    elsewhere = private_folder("darkroom") / work.fingerprint[:16]
    path = checkpoint(work.folder if at_home else elsewhere, number)
    # Trials that compile at the same time clash in a shared cache.
    cache = private_folder("darkroom") / "compiled" / f"{work.fingerprint[:16]}-{number}"
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": str(cache), "TRITON_CACHE_DIR": str(cache / "triton")}

    def report(row: Mapping[str, float]) -> None:
        if not at_home:
            ray.get(work.files.write.remote(number, path.read_bytes()))
        tune.report(dict(row))

    try:
        if not at_home and (content := ray.get(work.files.read.remote(number))) is not None:
            with atomic(path) as temporary:
                temporary.write_bytes(content)
        # What a trial that was killed between its checkpoint and its report did not say.
        for row in _history(path, work.mark(number)):
            tune.report(dict(row))
        configuration = weights.Configuration.model_validate_json(config["configuration"])
        fit(configuration, Experiment.model_validate_json(config["experiment"]), work, number, path, report)
    except Exception as error:
        full = isinstance(error, OSError) and error.errno == 28
        tune.report({"error": "".join(traceback.format_exception(error))[-4000:], "full": full})
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        if not at_home:
            path.unlink(missing_ok=True)


def _history(path: Path, mark: str) -> list[dict[str, float]]:
    """The epochs of a checkpoint."""
    if not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state["run"]["history"] if state["fingerprint"] == mark else []
