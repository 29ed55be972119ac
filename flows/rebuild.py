"""Rebuild a profile: one `dvc repro`, each stage of it a task run. `python -m flows.rebuild --help`"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Annotated, Any

import typer
from prefect import State, Task, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.states import Completed

from flows.paths import reach
from tasks import config
from tasks.common import stages, warm
from tasks.common.locks import alone
from tasks.profile import Profile

# The one that a shell's command began before Prefect's server was up.
_begun: ContextVar[stages.Reproduction | None] = ContextVar("_begun", default=None)


def mends(_: Task[..., Any], run: TaskRun, state: State) -> bool:
    """Whether trying again may help: not where another process works in the project."""
    return not isinstance(state.result(raise_on_failure=False), stages.Busy)


@task(task_run_name="{name}", cache_policy=NO_CACHE)
def stage(dvc: stages.Reproduction, name: str) -> State:
    """Follow a stage to its end."""
    done = dvc.follow(name, get_run_logger().info)
    if done.outcome == "unchanged":
        return Completed(name="Unchanged", message=done.line)
    return Completed(message=f"stage {name} ran" if done.outcome == "ran" else done.line)


download = stage.with_options(retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=mends)


@task(cache_policy=NO_CACHE)
def publish(profile: Profile) -> None:
    """Show the table, and where the report is, beside the run."""
    key = re.sub(r"[^a-z0-9]+", "-", profile.name.lower())
    table, report = profile.folder / "results" / "table.csv", profile.folder / "results" / "report.html"
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            create_table_artifact(list(csv.DictReader(file)), key=f"table-{key}", description=f"Experiments of {profile.name}")
    if report.exists():
        create_markdown_artifact(f"[{report}]({report.as_uri()})", key=f"report-{key}", description=f"Report of {profile.name}")


@contextmanager
def reproduction(profile: Profile) -> Iterator[stages.Reproduction]:
    """Run the profile's `dvc repro`, warm, as long as the block. Raises Error where another rebuild of the project runs."""
    message = "another rebuild of this project runs; wait for its end, or stop it"
    with (
        alone(profile.root / "runs" / "rebuild.lock", message),
        warm.serving(profile.root) as environment,
        stages.Reproduction(profile.folder, environment) as dvc,
    ):
        yield dvc


@flow(flow_run_name="rebuild-{profile}")
def rebuild(profile: str = ".") -> None:
    """Run what is stale in a profile's folder, seen from the project's. Fails with the name of the stage that failed.

    Raises Error where another rebuild or another DVC process works in the project.
    """
    loaded, begun = config.load(reach(profile)), _begun.get()
    with nullcontext(begun) if begun else reproduction(loaded) as dvc:
        for name in dvc:
            (download if name.startswith("download@") else stage)(dvc, name)
    publish(loaded)


def main(profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".") -> None:
    """Rebuild a profile under Prefect: each DVC stage a task run with its log, downloads tried again."""
    # DVC begins at once. What it says is read when Prefect's server is up, seconds later.
    with reproduction(config.load(reach(profile))) as dvc:
        token = _begun.set(dvc)
        try:
            rebuild(profile)
        finally:
            _begun.reset(token)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
