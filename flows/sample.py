"""Draw samples from a trained generator, on demand. `python -m flows.sample --help`"""

import re
from pathlib import Path
from typing import Annotated

import typer
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.paths import reach
from tasks import config
from tasks import sample as sampling

run_sampling = task(name="sample", cache_policy=NO_CACHE, log_prints=True)(sampling.sample)


@task(cache_policy=NO_CACHE)
def publish(experiment: str, written: list[Path], seed: int, asked: str | None, sentence: str | None) -> None:
    """Show what was drawn beside the run."""
    key = re.sub(r"[^a-z0-9]+", "-", experiment.lower())
    where = written[0] if len(written) == 1 else written[0].parent
    what = f"“{sentence}”" if sentence else f"class {asked or 'any'}"
    drawn = f"{len(written)} file{'s' if len(written) > 1 else ''} in `{where}`, seed {seed}, {what}"
    create_markdown_artifact(drawn, key=f"sample-{key}")


@flow(flow_run_name="sample-{experiment}")
def sample(
    experiment: str,
    to: str,
    count: int = 16,
    seed: int = 0,
    asked: str | None = None,
    grid: bool = False,
    profile: str = ".",
    weights: str | None = None,
    text: str | None = None,
    truncation: Annotated[float | None, Field(ge=0, le=1)] = None,
    mix: Annotated[int | None, Field(ge=0)] = None,
) -> list[Path]:
    """Draw samples from a trained generator, as files in a folder or as one picture of all.

    Paths are seen from the project's folder. `asked`: the class of all samples; `text`: a sentence in its place; `truncation`, `mix`: of
    generators with styles (`tasks.kinds.generate.use.make`). `weights`: a file in place of the stage's.
    """
    loaded = config.load(reach(profile))
    file = reach(weights) if weights else None
    written = run_sampling(loaded, experiment, reach(to), count, seed, asked, grid, file, text, truncation, mix)
    publish(experiment, written, seed, asked, text)
    return written


def main(
    experiment: Annotated[
        str,
        typer.Argument(help="a generator of params.yaml that is trained, or one whose weights git carries, such as stylegan"),
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="a folder; with --grid a .png file")],
    count: Annotated[int, typer.Option(min=1, help="how many")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="another one gives other samples, the same one the same")] = 0,
    asked: Annotated[str | None, typer.Option("--class", help="the class of all samples, for conditional generators")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="one picture with all samples in rows")] = False,
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    text: Annotated[str | None, typer.Option(help='a sentence, such as "a three and a seven", in place of a class')] = None,
    truncation: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="of generators with styles: 0 for the mean of all images, 1 for as they come"),
    ] = None,
    mix: Annotated[int | None, typer.Option(min=0, help="of generators with styles: the seed of the finer styles")] = None,
) -> None:
    """Draw samples from a trained generator under Prefect."""
    sample(experiment, str(to.resolve()), count, seed, asked, grid, profile, text=text, truncation=truncation, mix=mix)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
