"""Rebuild a profile: its DVC stages, one by one, as task runs. `python -m flows.rebuild --help`"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from flows import ROOT
from tasks import config
from tasks.common import stages
from tasks.common.errors import Error
from tasks.profile import Profile


@task(task_run_name="{name}", cache_policy=NO_CACHE)
def stage(folder: Path, name: str) -> State:
    """Run a stage, where DVC finds it stale."""
    logger = get_run_logger()
    if not stages.changed(folder, name):
        logger.info("Stage '%s' didn't change, skipping", name)
        return Completed(name="Unchanged", message=f"stage {name} didn't change")
    stages.reproduce(folder, name, logger.info)
    return Completed(message=f"stage {name} ran")


download = stage.with_options(retries=2, retry_delay_seconds=[10, 60])


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


@flow(flow_run_name="rebuild-{profile}")
def rebuild(profile: str = ".") -> None:
    """Run what is stale in a profile's folder, seen from the project's. Fails with the name of the stage that failed.

    Raises Error where another rebuild runs: DVC does one thing at a time.
    """
    loaded = config.load(ROOT / profile)
    with _alone(loaded.root / "runs" / "rebuild.lock"):
        for name in stages.names(loaded.folder):
            (download if name.startswith("download@") else stage)(loaded.folder, name)
        publish(loaded)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """A lock that the system takes back when its holder dies; Prefect's own limit stays used up by a run that was killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise Error("another rebuild of this project runs; wait for its end, or stop it") from None


def main(profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".") -> None:
    """Rebuild a profile under Prefect: each DVC stage a task run with its log, downloads tried again."""
    rebuild(profile)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
