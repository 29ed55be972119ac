"""Draw samples from a trained generator: `python -m tasks.sample EXPERIMENT OUT [--count N] [--seed S] [--class 7] [--grid]`.

`--text "a three and a seven"`, of generators that follow words; `--truncation 0.7`, `--mix SEED`, of those with styles.
"""

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks import apply, config, kinds
from tasks.common import bars
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.files import atomic_folder
from tasks.imaging.images import write_png
from tasks.profile import Profile


def sample(
    profile: Profile,
    experiment: str,
    to: Path,
    count: int = 16,
    seed: int = 0,
    asked: str | None = None,
    grid: bool = False,
    weights: Path | None = None,
    text: str | None = None,
    truncation: float | None = None,
    mix: int | None = None,
) -> list[Path]:
    """Write `count` samples as PNG files, 0000.png and on, into the folder `to`, or as one PNG file with all of them in rows.

    `asked`: the class of all of them, for conditional generators; `text`: a sentence that names it; `truncation`, `mix`: of generators with
    styles (`tasks.kinds.generate.use.make`). Returns what was written.

    Raises Error for an unknown experiment, one that makes no images, weights that are missing or another's, a class that it does not know,
    more samples than memory has room for, samples that are not finite, a grid that is no .png, and a folder that holds something else.
    """
    if grid and to.suffix.lower() != ".png":
        raise Error(f"{to}: a grid is one picture; give a name that ends in .png")
    if not grid and (to.is_file() or to.suffix.lower() == ".png"):
        raise Error(f"{to}: samples are written into a folder; give the name of one, or --grid for one picture")
    if not grid and to.is_dir() and (held := {path.name for path in to.iterdir()}) != {*_names(len(held))}:
        raise Error(f"{to}: holds other files than samples; give another folder")
    network, configuration = apply.load(profile, experiment, weights)
    use = kinds.part(configuration.task, "use")
    if not hasattr(use, "make"):
        makers = [kind for kind in kinds.names() if hasattr(kinds.part(kind, "use"), "make")]
        raise Error(f"{experiment}: a network of the task {configuration.task} makes no samples; allowed: {', '.join(makers)}")
    pictures = use.make(network, configuration, count, seed, asked, text, truncation, mix)
    if grid:
        write_png(to, use.grid(pictures, math.ceil(math.sqrt(count))))
        return [to]
    with atomic_folder(to) as folder:
        for name, picture in bars.track([*zip(_names(count), pictures, strict=True)], experiment):
            write_png(folder / name, picture)
    return [to / name for name in _names(count)]


def _names(count: int) -> list[str]:
    """What the files of so many samples are called."""
    return [f"{number:04d}.png" for number in range(count)]


def main(
    experiment: Annotated[
        str,
        typer.Argument(
            help="a generator of params.yaml that is trained, or one whose weights git carries, such as stylegan-modulated"
        ),
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="a folder; with --grid a .png file")],
    count: Annotated[int, typer.Option(min=1, help="how many")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="another one gives other samples, the same one the same")] = 0,
    asked: Annotated[str | None, typer.Option("--class", help="the class of all samples, for conditional generators")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="one picture with all samples in rows")] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            callback=readable, help="a .safetensors file of the experiment; by default what is trained here, else what came along"
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help='a sentence, such as "a three and a seven", in place of a class')] = None,
    truncation: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="of generators with styles: 0 for the mean of all images, 1 for as they come"),
    ] = None,
    mix: Annotated[int | None, typer.Option(min=0, help="of generators with styles: the seed of the finer styles")] = None,
) -> None:
    """Write samples of a trained generator as PNG files, or as one picture."""
    written = sample(config.load(), experiment, to, count, seed, asked, grid, weights, text, truncation, mix)
    print(f"{experiment}: {count} samples in {written[0] if grid else to}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
