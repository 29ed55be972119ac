"""Annotate the faces of photographs with their emotions: `python -m tasks.annotate IN OUT`.

OUT holds

    faces.parquet, faces.csv    a row a face, and one for each photograph without a face, with the reason
    contact-sheet.html          the faces, to be sorted and filtered
    pictures/                   the photographs with boxes
    summary.json                counts, weights and speed
    .annotate/                  what is finished, by the content of the photographs

What is finished is not done again, as long as weights and numbers are the same.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks import config
from tasks.common import bars, devices, files, provenance
from tasks.common.bars import Bar
from tasks.common.errors import Error
from tasks.common.locks import alone
from tasks.common.processors import processors
from tasks.faces import (
    annotations,
    annotator,
    calibration,
    conditions,
    contact_sheet,
    detector,
    emotions,
    face_weights,
    listing,
    parallel,
    photographs,
)
from tasks.faces.annotations import Parts, Row
from tasks.faces.annotator import Files
from tasks.imaging import images
from tasks.learning import tracking
from tasks.params.face_settings import Annotate
from tasks.profile import Profile

STATE = ".annotate"
PART = 64  # photographs whose rows are flushed together
SECONDS = 20.0  # after which they are flushed anyway
# With fewer photographs to do, Ray takes longer to start than they take.
FEW = 48


def annotate(
    profile: Profile,
    source: str | Path,
    to: Path,
    settings: Annotate | None = None,
    workers: int | None = None,
    name: str = "annotate",
    part: int = PART,
    relative: bool = False,
) -> dict[str, Any]:
    """Annotate the photographs of a folder, a glob or a list into the folder `to`, and return the summary.

    `settings`: by default embedded weights, and the numbers of `Annotate`. `workers`: actors; 0 works in this process; by default a
    processor each, and none for a few photographs. `name`: of the run in MLflow. `part`: photographs whose rows are flushed together.
    `relative`: paths in the tables are seen from the folder `source`.

    Raises Error for a source without photographs, an output that cannot be written or is being written by another annotator, and
    weights that are missing or wrong.
    """
    settings = settings or Annotate(source="")
    if Path(source).is_dir() and Path(source).resolve() == to.resolve():
        raise Error(f"{to}: the photographs are in it; give another folder for what is made of them")
    # What an annotator drew is no photograph.
    paths = listing.listed(str(source), leave_out=STATE)
    _make_folder(to)
    with alone(to / STATE / "lock", f"{to}: another annotator is writing there; wait for it, or give another folder"):
        found = face_weights.find(profile, settings)
        _check(found)
        return _annotate(profile, paths, to, settings, found, workers, name, part, source if relative else None)


def _annotate(
    profile: Profile,
    paths: list[str],
    to: Path,
    settings: Annotate,
    found: Files,
    workers: int | None,
    name: str,
    part: int,
    base: str | Path | None,
) -> dict[str, Any]:
    start = time.perf_counter()
    state = to / STATE
    device = devices.choose(profile.params.device)
    computed_in = devices.precision(settings.precision, device, emulated=False)
    parts = Parts(state / "parts" / _fingerprint(found, settings.model_copy(update={"precision": computed_in})))
    with bars.bars() as shown:
        known = annotations.latest(state / "index.parquet")
        index = photographs.index(paths, known, on_file=shown.add("reading", len(paths)).advance)
        with files.atomic(state / "index.parquet") as temporary:
            index.to_parquet(temporary, index=False)
        first = index[index["sha256"] != ""].drop_duplicates("sha256")
        done = parts.done(to if settings.pictures else None)
        left = [(p, sha256) for p, sha256 in zip(first["image_path"], first["sha256"]) if sha256 not in done]
        if workers is None:
            workers = 0 if len(left) < FEW and not profile.params.ray.address else processors()
        settings_of_run = {"source": name, "workers": workers, **settings.model_dump(mode="json", exclude={"source", "split"})}
        tags = {"profile": profile.name, "git_commit": provenance.git_commit(profile.root)}
        with tracking.run(profile, "annotate", name, settings_of_run, tags) as run:
            bar = shown.add("annotating", len(first), len(first) - len(left))
            if left and workers == 0:
                _flush(parallel.here(left, found, settings, to, str(device), part), parts, part, bar, len(first))
            elif left:
                batches = parallel.spread(left, found, settings, to, str(device), profile.params.ray.address, workers)
                _flush(batches, parts, part, bar, len(first))
            working = time.perf_counter() - start
            if base is not None:
                index["image_path"] = [Path(path).relative_to(os.path.abspath(base)).as_posix() for path in index["image_path"]]
            table = annotations.final(index, parts.read())
            if not settings.pictures:
                table["picture"] = ""
            annotations.save(table, to)
            contact_sheet.write(table, parts, to, f"Faces: {name}")
            counted = annotations.counts(table)
            summary = {
                **counted,
                "done": len(left),
                "unchanged": len(first) - len(left),
                "seconds": round(working, 3),
                "photographs_per_second": round(len(left) / working, 3),
                "workers": workers,
                "precision": computed_in,
                "weights": {key: files.sha256(path) for key, path in (("faces", found.faces), ("emotions", found.emotions))},
                "thresholds": {key: getattr(found.find, key) for key in ("threshold", "nms", "inside", "sizes")}
                | {key: value for key in ("uncertain", "blurred", "small") if (value := getattr(found, key)) is not None},
                "reasons": _reasons(table),
            }
            run.log_metrics({key: value for key, value in summary.items() if isinstance(value, int | float)})
        files.write_json(to / "summary.json", summary)
    return summary


def _flush(batches: Iterator[list[Row]], parts: Parts, size: int, bar: Bar, whole: int) -> None:
    """Write rows as they come, `size` photographs a part, of `whole` photographs."""
    rows: list[Row] = []
    waiting: set[str] = set()
    last = time.monotonic()
    try:
        for batch in batches:
            new = {row["sha256"] for row in batch}
            rows += batch
            waiting |= new
            bar.advance(len(new))
            if len(waiting) >= size or time.monotonic() - last > SECONDS:
                parts.write(rows)
                rows, waiting, last = [], set(), time.monotonic()
                bar.log(f"annotated {bar.completed:.0f} of {whole}")
    finally:
        # Ctrl-C too: what was done is kept.
        if rows:
            parts.write(rows)


def _fingerprint(found: Files, settings: Annotate) -> str:
    """What a part belongs to: weights, numbers, and the code that makes rows of photographs."""
    code = [detector, annotator, photographs, emotions, calibration, conditions, images]
    values = {
        "files": [files.sha256(found.faces), files.sha256(found.emotions), found.uncertain, found.blurred, found.small],
        "find": found.find.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json", exclude={"source", "split", "pictures"}),
        "code": [files.sha256(Path(str(module.__file__))) for module in code],
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _check(found: Files) -> None:
    """Raises Error for weights of another network, before any photograph is opened."""
    detector.read(found.faces)
    emotions.Emotions.load(found.emotions)


def _make_folder(path: Path) -> None:
    if (stranger := path / "faces.csv").exists() and not (path / STATE).exists():
        raise Error(f"{stranger}: not of an annotator, and would be overwritten; give another folder")
    try:
        (path / STATE).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"{path}: cannot be made ({error.strerror}); give another folder") from None
    if not os.access(path, os.W_OK):
        raise Error(f"{path}: cannot be written to; give another folder")


def _reasons(table: Any) -> dict[str, int]:
    """How often each kind of reason was given, by its beginning."""
    reasons = table.loc[table["face"].isna(), "reason"].str.split(":").str[0]
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}


def report(summary: dict[str, Any], to: Path) -> None:
    """Say on stderr what was done."""
    with_faces = summary["photographs"] - summary["without_face"] - summary["unreadable"]
    print(
        f"{to}: {_count(summary['photographs'], 'photograph')}: {_count(summary['faces'], 'face')} in {with_faces} of them, "
        f"{summary['without_face']} without a face, {summary['unreadable']} unreadable; {summary['done']} looked at in "
        f"{summary['seconds']:.0f} s, {summary['unchanged']} known from before"
        f", {_count(summary['copies'], 'copy', 'copies')} of others; in {summary['precision']}",
        file=sys.stderr,
    )
    print(f"open {to / 'contact-sheet.html'}", file=sys.stderr)


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def main(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="a folder, a 'glob' (quoted), a photograph, or a .txt file with a path a line")
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for tables, pictures and contact sheet")],
    faces_weights: Annotated[Path | None, typer.Option("--faces", help="other weights of the face detector")] = None,
    emotion_weights: Annotated[Path | None, typer.Option("--emotions", help="other weights of the emotion network")] = None,
    pictures: Annotated[
        bool, typer.Option(help="whether to draw the annotated photographs (those of an earlier run stay)")
    ] = True,
    workers: Annotated[int | None, typer.Option(min=0, help="actors; 0: in this process; by default a processor each")] = None,
) -> None:
    """Find the faces of photographs and read their emotions, into tables, pictures and a contact sheet.

    Interrupted or killed, the same command goes on, and has lost the last 20 seconds at most; what is new in IN is added. Read are JPEG,
    PNG, WebP, BMP, GIF and TIFF. Works offline, with the weights that come along; every number that may be set stands in
    tasks/params/face_settings.py, and a block below `annotate` in params.yaml sets it.
    """
    profile = config.load(experiments=False)
    settings = Annotate(source="", pictures=pictures)
    report(annotate(profile, source, to, _with(settings, faces=faces_weights, emotions=emotion_weights), workers), to)


def _with(settings: Annotate, **weights: Path | None) -> Annotate:
    """Settings with weights' files in place of the embedded ones."""
    for key, path in weights.items():
        if path is not None:
            block = getattr(settings, key)
            changed = block.model_copy(
                update={"weights": block.weights.model_copy(update={"source": "path", "path": str(path.absolute())})}
            )
            settings = settings.model_copy(update={key: changed})
    return settings


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
