"""A sweep of seconds, for several test files."""

from typing import Any

import yaml

from tasks import config
from tasks.params.sweep import Sweep
from tasks.profile import Profile
from tests.conftest import experiment


def block(**changes: Any) -> dict[str, Any]:
    """A block of `sweeps`."""
    base = {key: value for key, value in experiment("classify").items() if key not in ("seeds", "published")}
    return {
        **base,
        "space": {
            "architecture.widths.0": {"int": [4, 16], "step": 4},
            "train.optimizer.lr": {"float": [1e-3, 0.1], "log": True},
        },
        "objective": {"name": "loss"},
        "trials": 8,
        "scheduler": {"grace": 1, "reduction": 2, "brackets": 1},
        "time_budget": 600,
        "seed": 0,
        **changes,
    }


def made(**changes: Any) -> Sweep:
    """The block as `tasks.config` reads it beside data of the kind classify."""
    values = block(**changes)
    return Sweep.model_validate({**values, "train": {"kind": "classify", **values["train"]}})


def with_sweep(profile: Profile, ray: dict[str, Any] | None = None, **changes: Any) -> Profile:
    """The profile with the sweep `tiny` and its winner `found`."""
    file = profile.folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["sweeps"] = {"tiny": block(**changes)}
    tiny = params["sweeps"]["tiny"]
    params["experiments"]["found"] = {
        "system": "cnn",
        "data": tiny["data"],
        "network": tiny["network"],
        "sweep": "tiny",
        "train": {"epochs": 3},
        "seeds": [0],
        "published": [],
    }
    params["ray"] = ray or {"address": None}
    file.write_text(yaml.safe_dump(params))
    return config.load(profile.folder)
