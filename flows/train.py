"""Train an experiment on demand, into a folder of its own under runs/. `python -m flows.train --help`"""

from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.links import link_training
from flows.paths import reach
from tasks import config
from tasks import train as training
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.profile import Profile

run_training = task(name="train", cache_policy=NO_CACHE, log_prints=True)(training.train)

OVERRIDES = "overrides.json"


@flow(flow_run_name="train-{experiment}")
def train(experiment: str, profile: str = ".", overrides: dict[str, Any] | None = None) -> Path:
    """Train, and return the run's folder. No stage becomes stale by it.

    `overrides`: changes to the experiment's block of params.yaml, such as {"train": {"epochs": 1}}.
    """
    loaded = changed(profile, experiment, overrides or {})
    out = new_folder(loaded.root / "runs", f"{experiment}-{datetime.now():%Y%m%d-%H%M%S}")
    write_json(out / OVERRIDES, overrides or {})
    run_training(loaded, experiment, out)
    link_training(loaded, experiment, out)
    return out


def changed(profile: str, experiment: str, overrides: dict[str, Any]) -> Profile:
    """The profile in a folder, with changes to an experiment. Raises Error for an unknown experiment, and for changes that do not fit."""
    loaded = config.load(reach(profile))
    loaded.experiment(experiment)
    if not overrides:
        return loaded
    loaded = config.load(reach(profile), {"experiments": {experiment: overrides}})
    loaded.experiment(experiment)
    return loaded


def new_folder(above: Path, name: str, end: str = "") -> Path:
    """Make a folder of that name, or with a number where runs of one second would share it."""
    for number in count(1):
        folder = above / (f"{name}{end}" if number == 1 else f"{name}-{number}{end}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError


def parse(changes: list[str]) -> dict[str, Any]:
    """["train.epochs=1"] as {"train": {"epochs": 1}}; values are YAML. Raises Error for a change without `=`."""
    nested: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise Error(f"--set {change}: not KEY=VALUE, such as train.epochs=1")
        *above, last = key.split(".")
        block = nested
        for part in above:
            block = block.setdefault(part, {})
        block[last] = yaml.safe_load(value)
    return nested


def main(
    experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml")],
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    set_: Annotated[list[str], typer.Option("--set", help="KEY=VALUE: a change to the experiment, such as train.epochs=1")] = [],  # noqa: B006
) -> None:
    """Train an experiment under Prefect into runs/EXPERIMENT-TIME/, leaving the results of the stages alone."""
    print(train(experiment, profile, parse(set_)))


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
