"""Apply an experiment to a folder of photographs, on demand. `python -m flows.apply --help`"""

import re
from pathlib import Path
from typing import Annotated

import typer
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.paths import reach
from tasks import apply as application
from tasks import config
from tasks.apply import Applied

run_application = task(name="apply", cache_policy=NO_CACHE, log_prints=True)(application.apply)


@task(cache_policy=NO_CACHE)
def publish(experiment: str, applied: Applied) -> None:
    """Show what was skipped, and why, beside the run."""
    key = re.sub(r"[^a-z0-9]+", "-", experiment.lower())
    rows = [{"file": file, "reason": reason} for file, reason in applied.skipped.items()]
    description = f"{len(applied.done)} done, {len(applied.unchanged)} unchanged, {len(rows)} skipped"
    create_table_artifact(rows, key=f"apply-{key}", description=description)


@flow(flow_run_name="apply-{experiment}")
def apply(experiment: str, source: str, to: str, profile: str = ".", weights: str | None = None) -> Applied:
    """Apply a trained network to a photograph or to all of a folder; what is finished is not done again.

    Paths are seen from the project's folder. `weights`: a file in place of the stage's.
    """
    loaded = config.load(reach(profile))
    applied = run_application(loaded, experiment, reach(source), reach(to), reach(weights) if weights else None)
    publish(experiment, applied)
    return applied


def main(
    experiment: Annotated[
        str, typer.Argument(help="a key of `experiments` in params.yaml whose network makes images of images, or detects")
    ],
    source: Annotated[Path, typer.Argument(metavar="IN", help="a photograph, or a folder of them (with the folders in it)")],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for the pictures; for one photograph also a name.png")],
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    weights: Annotated[
        Path | None,
        typer.Option(help="a .safetensors file of the experiment; by default what is trained here, else what came along"),
    ] = None,
) -> None:
    """Apply an experiment to photographs under Prefect."""
    applied = apply(experiment, str(source.resolve()), str(to.resolve()), profile, str(weights.resolve()) if weights else None)
    application.report(applied, to)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
