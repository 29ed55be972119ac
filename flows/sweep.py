"""Run a sweep on demand, or every week. `python -m flows.sweep --help`"""

import json
import re
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.links import page
from flows.paths import reach
from tasks import config
from tasks import sweep as sweeping
from tasks.profile import Profile
from tasks.sweeps import tables
from tasks.sweeps.study import Study

# Seconds between two tables: each is a request to the server.
EVERY = 10.0
COLUMNS = ("trial", "state", "val_loss", "parameters", "epochs", "seconds", "efficiency", "error")


@task(name="sweep", cache_policy=NO_CACHE, log_prints=True)
def run_sweep(profile: Profile, name: str, out: Path) -> dict[str, Any]:
    """Sweep, showing the trials' table beside the run while it grows, and where MLflow has them."""
    key = "sweep-" + re.sub(r"[^a-z0-9]+", "-", name.lower())
    shown = 0.0

    def show(study: Study, final: bool = False) -> None:
        nonlocal shown
        if not final and time.monotonic() - shown < EVERY:
            return
        shown = time.monotonic()
        counts = f"{study.trained} of {study.sweep.trials} trials begun, {len(study.of('complete'))} ran to their end"
        table = tables.trials(study)
        ordered = table[[*COLUMNS, *(column for column in table if column not in COLUMNS)]]
        # By way of JSON, which has null where the table has NaN.
        rows: list[dict[str, Any]] = json.loads(ordered.to_json(orient="records"))
        create_table_artifact(rows, key=key, description=f"{name}: {counts}")

    if address := page(profile.root):
        create_link_artifact(
            address, link_text=f"{name} in MLflow", key=f"{key}-mlflow", description=f"MLflow's experiment {name}"
        )
    last: list[Study] = []

    def changed(study: Study) -> None:
        last[:] = [study]
        show(study)

    result = sweeping.sweep(profile, name, out, changed)
    for study in last:
        show(study, final=True)
    return result


@flow(flow_run_name="sweep-{name}")
def sweep(name: str | None = None, profile: str = ".", time_budget: float | None = None) -> dict[str, Any]:
    """Run a sweep of params.yaml into runs/sweep-<name>, and return what its metrics.json holds. No stage becomes stale by it.

    One that was interrupted goes on; one that is finished is run anew. Without a name all sweeps of the profile run in turn, and
    what is returned is a result a sweep. `time_budget`: seconds of each, instead of the params.yaml's.
    """
    root = reach(profile)
    names = [name] if name else [*config.load(root).params.sweeps]
    changes = {"sweeps": {each: {"time_budget": time_budget} for each in names}} if time_budget else {}
    loaded = config.load(root, changes)
    for each in names:
        loaded.sweep(each)
    results: dict[str, Any] = {}
    for each in names:
        results[each] = run_sweep(loaded, each, loaded.root / "runs" / f"sweep-{each}")
    return results[name] if name else results


def main(
    name: Annotated[str | None, typer.Argument(help="a key of `sweeps` in params.yaml; without it all of them")] = None,
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    time_budget: Annotated[float | None, typer.Option(help="seconds, instead of the params.yaml's", min=1)] = None,
) -> None:
    """Run a sweep under Prefect into runs/sweep-NAME/, leaving the results of the stages alone."""
    sweep(name, profile, time_budget)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
