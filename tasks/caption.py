"""Write a sentence for each photograph of a folder: `python -m tasks.caption IN OUT`.

OUT holds

    captions.parquet, captions.csv    a row a photograph: path, size, caption, score, or the reason why there is none
    contact-sheet.html                the photographs with their sentences
    summary.json                      counts, weights and speed
    .caption/                         what is finished, by the content of the photographs

What is finished is not done again, as long as the weights and the beam are the same.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from tasks import apply, carried, config
from tasks.common import bars, devices, files, pages
from tasks.common.bars import Bar
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.locks import alone
from tasks.common.processors import processors
from tasks.datasets.data import info
from tasks.faces import annotations, listing, photographs
from tasks.imaging import images, pictures
from tasks.kinds.caption import describe, use
from tasks.learning import weights
from tasks.learning.weights import Configuration
from tasks.profile import Profile
from tasks.words import captioner
from tasks.words.captioner import SCHEMA, Row, Settings
from tasks.words.vocabulary import SPECIAL

STATE = ".caption"
WRITTEN = ("captions.parquet", "captions.csv", "contact-sheet.html", "summary.json")
EXPERIMENT = "caption-attention"
PART = 64  # photographs whose rows are flushed together
# With fewer photographs to do, Ray takes longer to start than they take.
FEW = 256
LARGEST = 2000  # photographs on the sheet: more do not open well
COLUMNS = ["image_path", "caption", "score", "width", "height", "reason", "sha256"]


def caption(
    profile: Profile,
    source: str | Path,
    to: Path,
    experiment: str = EXPERIMENT,
    path: Path | None = None,
    settings: Settings = Settings(),
    workers: int | None = None,
    part: int = PART,
) -> dict[str, Any]:
    """Write sentences for the photographs of a folder, a glob or a list into the folder `to`, and return the summary.

    `path`: a weights file in place of the experiment's. `settings`: the length penalty is taken from the recipe of what the weights are of,
    so that sentences are those that were measured. `workers`: actors; 0 works in this process; by default a processor each, and
    none for a few photographs. `part`: photographs whose rows are flushed together.

    Raises Error for a source without photographs, an output that cannot be written or is being written by another captioner, and
    weights that are missing or of another kind.
    """
    path = path or apply.find_weights(profile, experiment)
    found = weights.configuration(carried.verified(path))
    if found.task != "caption":
        raise Error(f"{path}: weights of {found.experiment}, which is of the kind {found.task}; give those of a captioner")
    if Path(source).is_dir() and Path(source).resolve() == to.resolve():
        raise Error(f"{to}: the photographs are in it; give another folder for what is made of them")
    paths = listing.listed(str(source), leave_out=STATE)
    print(learned_from(profile, found), file=sys.stderr)
    _make_folder(to)
    with alone(to / STATE / "lock", f"{to}: another captioner is writing there; wait for it, or give another folder"):
        return _caption(
            profile, paths, to, path, replace(settings, penalty=use.penalty(profile, found.experiment)), workers, part
        )


def learned_from(profile: Profile, found: Configuration) -> str:
    """A sentence that says which data set a captioner learned from, and how many words it has. Data are told by their hash."""
    prepared = (info(path.parent) for path in sorted(profile.processed("").glob("*/dataset.json")))
    names = [one.name for one in prepared if one.hash == found.data_hash]
    learned = f"learned from {names[0]}" if names else "learned from data that are not prepared in this folder"
    words = len({*found.classes} - {*SPECIAL})
    return f"{found.experiment} {learned}; it says nothing but the {words:,} words of its training sentences, whatever a photograph shows"


def _caption(
    profile: Profile, paths: list[str], to: Path, path: Path, settings: Settings, workers: int | None, part: int
) -> dict[str, Any]:
    start = time.perf_counter()
    state = to / STATE
    device = devices.choose(profile.params.device)
    parts = state / "parts" / _fingerprint(path, settings)
    parts.mkdir(parents=True, exist_ok=True)
    with bars.bars() as shown:
        index = photographs.index(paths, annotations.latest(state / "index.parquet"), shown.add("reading", len(paths)).advance)
        with files.atomic(state / "index.parquet") as temporary:
            index.to_parquet(temporary, index=False)
        first = index[index["sha256"] != ""].drop_duplicates("sha256")
        done = {*_read(parts, ["sha256"])["sha256"]}
        left = [(file, sha256) for file, sha256 in zip(first["image_path"], first["sha256"]) if sha256 not in done]
        if workers is None:
            workers = 0 if len(left) < FEW and not profile.params.ray.address else processors()
        bar = shown.add("captioning", len(first), len(first) - len(left))
        if left:
            batches = (
                captioner.spread(left, path.absolute(), settings, str(device), profile.params.ray.address, workers)
                if workers
                else captioner.here(left, path, settings, str(device))
            )
            _flush(batches, parts, part, bar)
        working = time.perf_counter() - start
    table = final(index, _read(parts, [name for name in SCHEMA.names if name != "thumbnail"]))
    _save(table, to)
    _sheet(table, parts, to)
    readable = table["reason"] == ""
    summary = {
        "photographs": len(table),
        "captions": int(readable.sum()),
        "unreadable": int((~readable).sum()),
        "distinct": int(table.loc[readable, "caption"].nunique()),
        "done": len(left),
        "unchanged": len(first) - len(left),
        "seconds": round(working, 3),
        "photographs_per_second": round(len(left) / working, 3),
        "workers": workers,
        "weights": files.sha256(path),
        "beam": settings.beam,
        "length_penalty": settings.penalty,
    }
    files.write_json(to / "summary.json", summary)
    return summary


def final(index: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The table of an index of paths (`photographs.index`) and of the rows of their contents, in the order of the paths."""
    joined = index[["image_path", "sha256", "reason"]].merge(rows, on="sha256", how="left", suffixes=("_read", ""))
    joined["reason"] = joined["reason"].fillna("").where(joined["reason_read"] == "", joined["reason_read"])
    joined["caption"] = joined["caption"].fillna("")
    table = joined.astype({"width": "Int32", "height": "Int32"})
    return table.sort_values("image_path", kind="stable", ignore_index=True)[COLUMNS]


def _flush(batches: Iterator[list[Row]], parts: Path, size: int, bar: Bar) -> None:
    """Write rows as they come, `size` photographs a part; Ctrl-C too keeps what was done."""
    rows: list[Row] = []
    try:
        for batch in batches:
            rows += batch
            bar.advance(len(batch))
            if len(rows) >= size:
                _write(parts, rows)
                rows = []
    finally:
        if rows:
            _write(parts, rows)


def _write(parts: Path, rows: list[Row]) -> None:
    """A part, which appears whole or not at all; its name is a hash of its photographs' contents."""
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    name = hashlib.sha256("".join(sorted(row["sha256"] for row in rows)).encode()).hexdigest()
    with files.atomic(parts / f"{name}.parquet") as temporary:
        pq.write_table(table, temporary)


def _read(parts: Path, columns: list[str]) -> pd.DataFrame:
    """The rows of all parts. One that cannot be read is removed, and its photographs are done again."""
    tables = [pa.schema([SCHEMA.field(name) for name in columns]).empty_table()]
    for path in sorted(parts.glob("[!.]*.parquet")):
        try:
            tables.append(pq.read_table(path, columns=columns))
        except (pa.ArrowInvalid, OSError):
            path.unlink()
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas(integer_object_nulls=True)
    return frame.drop_duplicates("sha256", ignore_index=True)


def _save(table: pd.DataFrame, to: Path) -> None:
    with files.atomic(to / "captions.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    with files.atomic(to / "captions.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")


def _sheet(table: pd.DataFrame, parts: Path, to: Path) -> None:
    """contact-sheet.html; of more than `LARGEST` photographs an even choice, and the page says so."""
    there = table[table["reason"] == ""]
    shown = there if len(there) <= LARGEST else there.iloc[:: -(-len(there) // LARGEST)]
    small = _read(parts, ["sha256", "thumbnail"]).set_index("sha256")["thumbnail"]
    rows: Iterable[Any] = shown.itertuples(index=False)
    cards = [
        {
            "picture": pictures.uri(small[row.sha256]),
            "path": row.image_path,
            "name": Path(row.image_path).name,
            "caption": row.caption,
        }
        for row in rows
    ]
    skipped = table.loc[table["reason"] != "", ["image_path", "reason"]].to_dict("records")
    page = pages.render("captions.html.j2", [Path(captioner.__file__).parent], cards=cards, total=len(there), skipped=skipped)
    files.write_text(to / "contact-sheet.html", page)


def _fingerprint(path: Path, settings: Settings) -> str:
    """What a part belongs to: weights, settings, and the code that makes rows of photographs."""
    code = [captioner, describe, use, photographs, images]
    values = [
        files.sha256(path),
        settings.beam,
        settings.penalty,
        settings.largest,
        *(files.sha256(Path(str(m.__file__))) for m in code),
    ]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _make_folder(path: Path) -> None:
    strangers = [path / name for name in WRITTEN if (path / name).exists()]
    if strangers and not (path / STATE).exists():
        raise Error(f"{strangers[0]}: not of a captioner, and would be overwritten; give another folder")
    try:
        (path / STATE).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"{path}: cannot be made ({error.strerror}); give another folder") from None
    if not os.access(path, os.W_OK):
        raise Error(f"{path}: cannot be written to; give another folder")


def main(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="a folder, a 'glob' (quoted), a photograph, or a .txt file with a path a line")
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for tables and contact sheet")],
    experiment: Annotated[str, typer.Option(help="whose network writes: a key of `experiments` in params.yaml")] = EXPERIMENT,
    path: Annotated[
        Path | None, typer.Option("--weights", callback=readable, help="a .safetensors file in place of the experiment's")
    ] = None,
    beam: Annotated[int, typer.Option(min=1, max=50, help="sentences that are kept at each word; 1 is greedy")] = use.BEAM,
    workers: Annotated[int | None, typer.Option(min=0, help="actors; 0: in this process; by default a processor each")] = None,
) -> None:
    """Write a sentence for each photograph, into tables and a contact sheet.

    Interrupted or killed, the same command goes on; what is new in IN is added. Read are JPEG, PNG, WebP, BMP, GIF and TIFF.
    """
    summary = caption(config.load(), source, to, experiment, path, Settings(beam), workers)
    print(
        f"{to}: {summary['captions']:,} photographs with sentences, {summary['distinct']:,} of them different, {summary['unreadable']:,} "
        f"unreadable; {summary['done']:,} looked at in {summary['seconds']:.0f} s, {summary['unchanged']:,} known from before",
        file=sys.stderr,
    )
    print(f"open {to / 'contact-sheet.html'}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
