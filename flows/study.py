"""Run a study of trained networks on demand. `python -m flows.study --help`"""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.paths import reach
from flows.train import new_folder
from tasks import config
from tasks import study as studying
from tasks.params.params import known_to_user

run_study = task(name="study", cache_policy=NO_CACHE, log_prints=True)(studying.study)


@flow(flow_run_name="study-{name}")
def study(name: str, profile: str = ".") -> dict[str, Any]:
    """Run a study into a folder of its own under runs/, and return what its result file holds; the stage's results stay as they are."""
    loaded = config.load(reach(profile))
    known_to_user(name, loaded.params.studies, "study")
    out = new_folder(loaded.root / "runs", f"{name}-{datetime.now():%Y%m%d-%H%M%S}", "-study")
    return run_study(loaded, name, out)


def main(
    name: Annotated[str, typer.Argument(help="a key of `studies` in params.yaml")],
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
) -> None:
    """Run a study under Prefect, leaving the results of the stages alone."""
    print(json.dumps(study(name, profile)["metrics"], indent=2))


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
