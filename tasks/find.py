"""Search a folder of photographs by words or by another photograph: `python -m tasks.find FOLDER "a dog in the snow"`.

Each photograph becomes a vector once (`tasks.finding.index`); the index is kept in FOLDER/.darkroom-find and updated by content, so that a search
in a folder that has not changed takes as long as starting does.
"""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tasks.common import bars, devices, files
from tasks.common.bars import Bar
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.locks import alone
from tasks.common.processors import processors
from tasks.faces import listing, photographs
from tasks.finding import index as indexes
from tasks.finding import parallel
from tasks.finding.encoders import Encoder, choose, square
from tasks.finding.index import Found, Index, Row

PART = 256  # photographs whose vectors are flushed together
SECONDS = 20.0  # after which they are flushed anyway
# With fewer photographs to do, Ray takes longer to start than they take.
FEW = 128


@dataclass(frozen=True)
class Updated:
    """What became of a folder: photographs looked at now, known from before, and the reasons of those that could not be read."""

    done: int
    unchanged: int
    unreadable: dict[str, str]
    seconds: float


def update(
    folder: Path,
    make: Callable[[], Encoder],
    to: Path | None = None,
    workers: int | None = None,
    address: str | None = None,
    encoder: Encoder | None = None,
) -> tuple[Index, Found, Updated]:
    """Bring the index of a folder of photographs up to date, and return it with what is in it.

    `make`: gives the encoder, in each worker; `encoder`: one that is there already. `to`: the index's folder in place of
    FOLDER/.darkroom-find. `workers`: Ray's actors, on the cluster at `address`; 0 works in this process; by default a processor each, and
    none for a few photographs. What is finished is kept when it is interrupted. Raises Error for a folder without photographs, an index of
    another network or one that is being written by another search, and as `make` does.
    """
    start = time.perf_counter()
    to = to or folder / indexes.FOLDER
    paths = listing.listed(str(folder))
    encoder = encoder or make()
    index = indexes.open_index(to, encoder.network, encoder.dimensions, encoder.name)
    with alone(to / "lock", f"{to}: another search is updating this index; wait for it"), bars.bars() as shown:
        table = photographs.index(paths, index.known(), on_file=shown.add("reading", len(paths)).advance)
        # From here on an interrupted update knows what it has read.
        index.close(table)
        first = table[table["sha256"] != ""].drop_duplicates("sha256")
        done = index.done()
        left = [(path, sha256) for path, sha256 in zip(first["image_path"], first["sha256"]) if sha256 not in done]
        bar = shown.add("looking", len(first), len(first) - len(left))
        gpu = devices.choose("auto").type == "cuda"
        if workers is None:
            workers = 0 if len(left) < FEW and not address else processors()
        if left and workers == 0:
            _flush(parallel.here(left, lambda: encoder), index, bar)
        elif left:
            _flush(parallel.spread(left, make, encoder.size, address, workers, gpu), index, bar)
    found = index.read()
    return index, found, Updated(len(left), len(first) - len(left), found.unreadable, time.perf_counter() - start)


def _flush(batches: Iterator[list[Row]], index: Index, bar: Bar) -> None:
    """Write rows as they come, `PART` photographs a part."""
    rows: list[Row] = []
    last = time.monotonic()
    try:
        for batch in batches:
            rows += batch
            bar.advance(len(batch))
            if len(rows) >= PART or time.monotonic() - last > SECONDS:
                index.add(rows)
                rows, last = [], time.monotonic()
    finally:
        # Ctrl-C too: what was done is kept.
        if rows:
            index.add(rows)


def nearest(found: Found, query: np.ndarray, count: int) -> list[tuple[str, float]]:
    """The photographs that are nearest to a unit vector (D,), with their cosines, the nearest first; of equal ones by path."""
    similarity = found.vectors @ query
    order = sorted(range(len(found.paths)), key=lambda i: (-similarity[i], found.paths[i]))[:count]
    return [(found.paths[i], float(similarity[i])) for i in order]


def look(encoder: Encoder, photograph: Path) -> np.ndarray:
    """The unit vector (D,) of a photograph. Raises Error for one that cannot be read."""
    try:
        one = photographs.decode(files.content(photograph), "", parallel.LARGER * encoder.size)
    except OSError as error:
        raise Error(f"{photograph}: {error.strerror}") from None
    if one.pixels is None:
        raise Error(f"{photograph}: {one.reason}")
    vector: np.ndarray = encoder.images([square(one.pixels, encoder.size)])[0]
    return vector


def find(
    folder: Path,
    words: str | None = None,
    like: Path | None = None,
    count: int = 10,
    weights: str | None = None,
    merges: Path | None = None,
    to: Path | None = None,
    workers: int | None = None,
) -> tuple[list[tuple[str, float]], Updated]:
    """The photographs of a folder that are nearest to words, or to another photograph, with their cosines; and what was updated.

    Raises Error for neither or both, and as `encoders.choose`, `look` and `update` do: a query that says nothing is refused before any work.
    """
    if (words is None) == (like is None):
        raise Error("say what to look for: words, or a photograph with --like PHOTO, and not both")
    make = partial(choose, weights, merges)
    encoder = make()
    if like is not None:
        query = look(encoder, like)
    else:
        query, notes = encoder.sentence(words or "")
        for note in notes:
            print(f"  {note}", file=sys.stderr)
    _, found, updated = update(folder, make, to, workers, encoder=encoder)
    return nearest(found, query, count), updated


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="a folder of photographs (with the folders in it)")],
    words: Annotated[str | None, typer.Argument(metavar="WORDS", help='what they show, such as "a dog in the snow"')] = None,
    like: Annotated[
        Path | None, typer.Option(metavar="PHOTO", callback=readable, help="a photograph to look for, in place of words")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="how many are listed")] = 10,
    weights: Annotated[
        str | None,
        typer.Option(
            callback=readable,
            help="other weights: a .safetensors file of an embed experiment, a file in open_clip's layout, or laion400m_e32 or laion2b_e16, "
            "which are downloaded (600 MB)",
        ),
    ] = None,
    merges: Annotated[
        Path | None, typer.Option(callback=readable, help="bpe_simple_vocab_16e6.txt.gz, for weights in open_clip's layout")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="where the index is kept, in place of FOLDER/.darkroom-find")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="actors; 0: in this process; by default a processor each")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="also write what was found as a table")] = None,
) -> None:
    """Search a folder of photographs by words (English ones, with the weights that come along) or by another photograph.

    Prints a line a photograph, the nearest first: cosine and path. What is new in FOLDER is looked at first, what has gone is forgotten;
    interrupted or killed, the same command goes on. What cannot be read is named on stderr.
    """
    found, updated = find(folder, words, like, count, weights, merges, index, workers)
    for path, reason in [*updated.unreadable.items()][:10]:
        print(f"  unreadable: {path}: {reason}", file=sys.stderr)
    print(
        f"{folder}: {updated.done:,} looked at, {updated.unchanged:,} known from before, {len(updated.unreadable):,} unreadable; "
        f"{updated.seconds:.1f} s",
        file=sys.stderr,
    )
    for path, cosine in found:
        print(f"{cosine:.3f}  {path}")
    if table is not None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("cosine", "path"), *((f"{cosine:.4f}", path) for path, cosine in found)])
        files.write_text(table, text.getvalue())


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
