"""What pydantic would take in a `params.yaml` and people do not mean: infinite numbers, `yes` for 1, a choice by what is seen on test alone."""

import ast
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks import kinds
from tasks.params.experiment import Experiment, Winner
from tasks.params.params import Params
from tasks.params.spaces import replaced
from tasks.params.sweep import Sweep

# The file of a kind's folder that names metrics which training does not measure on validation, and its constant.
FILE, CONSTANT = "choosing.py", "TEST_ALONE"


def infinite(values: Any, place: str = "") -> Iterator[str]:
    """A sentence for each number that is infinite or none (`.inf`, `.nan`)."""
    if isinstance(values, float) and not math.isfinite(values):
        yield f"{place}: Input should be a finite number, not {values}"
    below = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list | tuple) else ()
    for key, value in below:
        yield from infinite(value, f"{place}.{key}" if place else str(key))


def truths(params: Params) -> Iterator[str]:
    """A sentence for each true or false in an architecture that its network would read as a number."""
    for section, blocks in (("experiments", params.experiments), ("sweeps", params.sweeps)):
        for name, block in blocks.items():
            if isinstance(block, Winner):  # its network is the sweep's
                continue
            for key, architecture in _architectures(block):
                for place in _read_as_numbers(architecture, _read(block, architecture), "architecture"):
                    yield (
                        f"{section}.{name}.{key or place}: Input should be a number, or a word in quotes "
                        "(YAML reads yes, no, on and off as true and false)"
                    )


def _architectures(block: Experiment | Sweep) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The architectures that a block names, each with the key of a sweep's space that it is of."""
    yield "", block.architecture
    if isinstance(block, Sweep):
        for key, domain in block.space.items():
            for value in domain.extremes() if key.startswith("architecture.") else ():
                yield f"space.{key}", replaced({"architecture": block.architecture}, key, value)["architecture"]


def _read(block: Experiment | Sweep, architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """The architecture as the network's `build` is given it."""
    import models

    return models.check(block.network, architecture)


def _read_as_numbers(given: Any, read: Any, place: str) -> Iterator[str]:
    """The places of true and false that have become something else by being read."""
    if isinstance(given, bool) and not isinstance(read, bool):
        yield place
    elif isinstance(given, Mapping) and isinstance(read, Mapping):
        for key, value in given.items():
            yield from _read_as_numbers(value, read.get(key), f"{place}.{key}")
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        for index, (value, other) in enumerate(zip(given, read)):
            yield from _read_as_numbers(value, other, f"{place}.{index}")


def choices(params: Params) -> Iterator[str]:
    """A sentence for each metric that an epoch or a trial would be chosen by, and that is measured on test alone."""
    for section, blocks in (("experiments", params.experiments), ("sweeps", params.sweeps)):
        for name, block in blocks.items():
            kind = params.kind(block.data)
            for key, metric in _chosen(block):
                if metric in test_alone(kind):
                    allowed = ", ".join(known for known in kinds.metrics(kind) if known not in test_alone(kind))
                    yield f"{section}.{name}.{key}: {metric!r} is measured on test alone, by which nothing is chosen; allowed: {allowed}"


def _chosen(block: Any) -> Iterator[tuple[str, str]]:
    """The metrics by which something is chosen, with their keys."""
    train = block.train if isinstance(block, Winner) else block.train.model_dump()
    if select := train.get("select"):
        yield "train.select", select
    for metric in (train.get("early_stopping") or {}).get("metrics", ()):
        yield "train.early_stopping.metrics", metric
    if isinstance(block, Sweep):
        yield "objective.name", block.objective.metric


def test_alone(kind: str) -> tuple[str, ...]:
    """The metrics of a kind that its evaluation measures and its training does not, as `choosing.py` of its folder names them.

    The file is read and not imported: no training depends on it.
    """
    path = Path(kinds.find(kind).__file__).with_name(FILE)
    for node in ast.parse(path.read_bytes()).body if path.is_file() else ():
        if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [CONSTANT]:
            return tuple(ast.literal_eval(node.value))
    return ()
