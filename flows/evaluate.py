"""Evaluate an experiment on demand. `python -m flows.evaluate --help`"""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.paths import reach
from flows.train import OVERRIDES, changed, new_folder
from tasks import evaluate as evaluation
from tasks.common.errors import Error

run_evaluation = task(name="evaluate", cache_policy=NO_CACHE, log_prints=True)(evaluation.evaluate)


@flow(flow_run_name="evaluate-{experiment}")
def evaluate(experiment: str, profile: str = ".", run: str | None = None) -> dict[str, Any]:
    """Measure on the test split, and return what the result file holds.

    `run`: a folder that the train flow wrote, which keeps the result too; without it the stage's weights are measured, into a
    folder of its own under runs/.
    """
    folder = reach(run) if run else None
    if folder and not (folder / OVERRIDES).exists():
        raise Error(f"{folder}: not a folder of the train flow; give one of runs/, or none to measure the stage's weights")
    overrides = json.loads((folder / OVERRIDES).read_text(encoding="utf-8")) if folder else {}
    loaded = changed(profile, experiment, overrides)
    out = folder or new_folder(loaded.root / "runs", f"{experiment}-{datetime.now():%Y%m%d-%H%M%S}", "-evaluate")
    return run_evaluation(loaded, experiment, out, folder)


def main(
    experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml")],
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    run: Annotated[str | None, typer.Option(help="a folder that flows.train wrote; without it, the stage's weights")] = None,
) -> None:
    """Evaluate an experiment under Prefect, leaving the results of the stages alone."""
    print(json.dumps(evaluate(experiment, profile, run), indent=2))


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
