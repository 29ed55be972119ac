"""Search a folder of photographs by words or by another photograph, on demand. `python -m flows.find --help`"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.paths import reach
from tasks import find as finding
from tasks.find import Updated

run_search = task(name="find", cache_policy=NO_CACHE, log_prints=True)(finding.find)


@task(cache_policy=NO_CACHE)
def publish(asked: str, found: list[tuple[str, float]], updated: Updated) -> None:
    """Show what was found, and what could not be read, beside the run."""
    rows = [{"photograph": path, "cosine": f"{cosine:.3f}"} for path, cosine in found]
    rows += [{"photograph": path, "cosine": reason} for path, reason in updated.unreadable.items()]
    create_table_artifact(
        rows, key="find", description=f"{asked}: {updated.done} looked at, {updated.unchanged} known from before"
    )


@flow(flow_run_name="find-{folder}")
def find(
    folder: str, words: str | None = None, like: str | None = None, count: int = 10, weights: str | None = None
) -> list[tuple[str, float]]:
    """Search a folder of photographs by words or by another photograph; its index is brought up to date first, and kept.

    Paths are seen from the project's folder. `weights`: in place of those that come with the code.
    """
    search = partial(run_search, reach(folder), words, reach(like) if like else None, count)
    found, updated = search(str(reach(weights)) if weights and reach(weights).is_file() else weights)
    publish(words or str(like), found, updated)
    return found


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="a folder of photographs (with the folders in it)")],
    words: Annotated[str | None, typer.Argument(metavar="WORDS", help="what they show")] = None,
    like: Annotated[Path | None, typer.Option(metavar="PHOTO", help="a photograph to look for, in place of words")] = None,
    count: Annotated[int, typer.Option(min=1, help="how many are listed")] = 10,
    weights: Annotated[str | None, typer.Option(help="other weights, as of tasks.find")] = None,
) -> None:
    """Search a folder of photographs under Prefect."""
    for path, cosine in find(str(folder.resolve()), words, str(like.resolve()) if like else None, count, weights):
        print(f"{cosine:.3f}  {path}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
