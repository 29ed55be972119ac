"""Write a sentence for each photograph of a folder, on demand. `python -m flows.caption --help`"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.paths import reach
from tasks import caption as captioning
from tasks import config
from tasks.caption import EXPERIMENT
from tasks.kinds.caption.use import BEAM
from tasks.words.captioner import Settings

SHOWN = 100  # sentences beside a run; the others stand in the folder
run_captions = task(name="write captions", cache_policy=NO_CACHE, log_prints=True)(captioning.caption)


@task(cache_policy=NO_CACHE)
def publish(summary: dict[str, Any], to: Path) -> None:
    """Show the first sentences, and what could not be read, beside the run."""
    table = pd.read_parquet(to / "captions.parquet")
    read, unread = table[table["reason"] == ""][:SHOWN], table[table["reason"] != ""]
    said = [*zip(read.image_path, read.caption), *zip(unread.image_path, unread.reason)]
    rows = [{"photograph": path, "sentence": sentence} for path, sentence in said]
    description = (
        f"{summary['captions']} with sentences, {summary['unreadable']} unreadable; {summary['done']} looked at, "
        f"{summary['unchanged']} known from before; all of them in {to}"
    )
    create_table_artifact(rows, key="captions", description=description)


@flow(flow_run_name="caption-{source}")
def caption(
    source: str,
    to: str,
    experiment: str = EXPERIMENT,
    profile: str = ".",
    weights: str | None = None,
    beam: Annotated[int, Field(ge=1, le=50)] = BEAM,
) -> dict[str, Any]:
    """Write a sentence for each photograph of a folder, a glob or a list; what is finished is not done again.

    Paths are seen from the project's folder. `weights`: a file in place of the experiment's.
    """
    loaded = config.load(reach(profile))
    folder = reach(to)
    summary = run_captions(loaded, reach(source), folder, experiment, reach(weights) if weights else None, Settings(beam))
    publish(summary, folder)
    return summary


def main(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="a folder, a 'glob' (quoted), a photograph, or a .txt file with a path a line")
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for tables and contact sheet")],
    experiment: Annotated[str, typer.Option(help="whose network writes: a key of `experiments` in params.yaml")] = EXPERIMENT,
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    weights: Annotated[Path | None, typer.Option(help="a .safetensors file in place of the experiment's")] = None,
    beam: Annotated[int, typer.Option(min=1, max=50, help="sentences that are kept at each word; 1 is greedy")] = BEAM,
) -> None:
    """Write sentences for photographs under Prefect."""
    file = str(weights.resolve()) if weights else None
    summary = caption(str(Path(source).absolute()), str(to.resolve()), experiment, profile, file, beam)
    print(f"{to}: {summary['captions']:,} photographs with sentences, {summary['unreadable']:,} unreadable")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
