"""Apply a trained network to photographs of one's own: `python -m tasks.apply EXPERIMENT IN OUT`.

A folder keeps its structure: IN/a/b.jpg becomes OUT/a/b.png. Beside the pictures stand

    applied.csv     a row per picture: file, output, SHA-256 of the file, the experiment, SHA-256 of its weights, a note
    skipped.csv     a row per file that could not be used, and why
    detections.json of a detector: all boxes in COCO's format; those of a picture stand beside it as .boxes.json

What is finished is not done again as long as the file and the weights are the same. Each experiment needs a folder of its own.
"""

import csv
import hashlib
import io
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import PIL.Image
import typer
from torch import nn

from tasks import carried, config, kinds, light
from tasks.common import bars, devices, files
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.locks import alone
from tasks.imaging import images
from tasks.imaging.images import Undecodable
from tasks.imaging.tiles import OnTile
from tasks.learning.weights import Configuration
from tasks.params.params import known_to_user
from tasks.profile import Profile

APPLIED, SKIPPED, LOCK = "applied.csv", "skipped.csv", ".apply.lock"
MAX_BYTES = 1 << 30  # no image of `images.MAX_PIXELS` is larger
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass
class Applied:
    """What became of the files of a folder, by their names within it."""

    done: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)  # finished before
    skipped: dict[str, str] = field(default_factory=dict)  # and the reason
    notes: dict[str, str] = field(default_factory=dict)  # on files that were done, now or before


class Row(NamedTuple):
    """A line of applied.csv."""

    file: str
    output: str
    sha256: str
    experiment: str
    weights: str
    note: str


def find_weights(profile: Profile, experiment: str) -> Path:
    """The first seed's weights as trained in this profile, else those that git carries, which may be another profile's experiment.

    Raises Error where there are neither, and for a name that neither has.
    """
    embedded = _embedded(profile, experiment)
    if experiment not in profile.params.experiments and embedded.exists():
        return embedded
    carried = sorted(path.stem for path in embedded.parent.glob("*.safetensors"))
    known_to_user(experiment, {**profile.params.experiments, **dict.fromkeys(carried)}, "experiment")
    trained = profile.weights(experiment)
    for path in (trained, embedded):
        if path.exists():
            return path
    raise Error(f"{trained}: {experiment} is not trained; train it: dvc repro train@{experiment}; or give a file with --weights")


def _embedded(profile: Profile, experiment: str) -> Path:
    """Where git carries an experiment's weights, if it does."""
    return profile.root / "models" / "weights" / f"{experiment}.safetensors"


def load(profile: Profile, experiment: str, path: Path | None = None) -> tuple[nn.Module, Configuration]:
    """An experiment's network for use, on the profile's device. Raises Error for weights of another experiment, and for damaged ones."""
    if path not in (None, _embedded(profile, experiment)):
        profile.experiment(experiment)
    path = carried.verified(path or find_weights(profile, experiment))
    network, configuration = light.load(path, devices.choose(profile.params.device))
    if configuration.experiment != experiment:
        raise Error(f"{path}: weights of {configuration.experiment}, not of {experiment}; give that name, or other weights")
    return network, configuration


def apply(profile: Profile, experiment: str, source: Path, to: Path, weights: Path | None = None) -> Applied:
    """Apply an experiment's network to a file, or to all files of a folder and the folders in it.

    `to`: the folder for the pictures; for a single file also the name of its picture, which ends in .png. `weights`: a file in
    place of those that `find_weights` finds.

    A file of a folder that cannot be used is listed in skipped.csv, and the rest is done. Raises Error for an unknown experiment or
    one whose task has no pictures, missing weights, a source that is not there, an output that would stand among the sources or
    replace one, a single file that cannot be used, and an output folder that holds another experiment's pictures or files of another origin
    in the places of ours, or in which another `apply` is at work.
    """
    path = weights or find_weights(profile, experiment)
    network, configuration = load(profile, experiment, path)
    use = kinds.part(configuration.task, "use")
    if not hasattr(use, "apply"):
        makers = [kind for kind in kinds.names() if hasattr(kinds.part(kind, "use"), "apply")]
        raise Error(f"{experiment}: a network of the task {configuration.task} makes no pictures; allowed: {', '.join(makers)}")

    def one(content: bytes, output: Path, on_tile: OnTile, name: str) -> str:
        image, note = read(content)
        use.apply(network, configuration, image, name, output, on_tile)
        return note

    def finish(outputs: Iterable[Path], place: Path) -> None:
        if hasattr(use, "finish"):
            use.finish(configuration, outputs, place)

    if source.is_file():
        output = _single_output(source, to, getattr(use, "OF_ONE", ".png"))
        with bars.bar(experiment, 1) as bar:
            try:
                note = one(_content(source), output, bar.advance, source.name)
            except Undecodable as error:
                raise Error(f"{source}: {error}") from None
        finish([output], output)
        return Applied(done=[source.name], notes={source.name: note} if note else {})
    if not source.is_dir():
        raise Error(f"{source}: no such file or folder")
    _check_apart(source, to)
    _make_folder(to)
    with alone(to / LOCK, f"{to}: another apply is writing there; wait for it, or give another folder"):
        applied = _folder(source, to, experiment, files.sha256(path), one, [SKIPPED, getattr(use, "FILE", SKIPPED)])
        current = {*applied.done, *applied.unchanged}
        finish([to / row.output for name, row in _read_rows(to / APPLIED).items() if name in current], to)
        return applied


def read(content: bytes) -> tuple[np.ndarray, str]:
    """Decode an image file: uint8 (H, W, 3) as a viewer shows it, and a note on what was left out. Raises Undecodable."""
    with warnings.catch_warnings():
        # On damaged metadata, which do not touch the pixels.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        pixels = images.decode(content).pixels
        if not pixels.size:
            raise Undecodable("it has no pixels")
    return pixels, "the first of several pictures" if _several(content) else ""


def _several(content: bytes) -> bool:
    # Decoders fail on damaged files with nearly any exception; the first picture is whole.
    with suppress(Exception), PIL.Image.open(io.BytesIO(content), formats=images.FORMATS) as image:
        # Telephones add a second picture to their JPEGs (MPO), which no viewer shows.
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    return False


def _folder(
    source: Path,
    to: Path,
    experiment: str,
    weights_hash: str,
    one: Callable[[bytes, Path, OnTile, str], str],
    tables: Iterable[str],
) -> Applied:
    """`tables`: the names of what is written beside the pictures."""
    applied = Applied()
    before = _read_rows(to / APPLIED)
    if others := {row.experiment for row in before.values()} - {experiment}:
        raise Error(f"{to}: holds pictures of {', '.join(sorted(others))}, which would be replaced; give another folder")
    outputs = _outputs(_list(source, to, applied.skipped))
    if not (to / APPLIED).exists() and (strangers := [n for n in (*tables, *outputs.values()) if (to / n).exists()]):
        raise Error(f"{to / strangers[0]}: not written for a folder by tasks.apply, and would be replaced; give another folder")
    # Written anew first: what a killed process left of its last line is gone, and what follows starts on a line of its own.
    _write_rows(to / APPLIED, Row._fields, before.values())
    with (
        (to / APPLIED).open("a", encoding="utf-8", errors="surrogateescape", newline="") as table,
        bars.bar(experiment, len(outputs)) as bar,
    ):
        for number, (name, output) in enumerate(outputs.items(), 1):
            try:
                content = _content(source / name)
                digest = hashlib.sha256(content).hexdigest()
                row = before.get(name)
                if row and row[1:5] == (output, digest, experiment, weights_hash) and (to / output).is_file():
                    applied.unchanged.append(name)
                else:
                    row = Row(name, output, digest, experiment, weights_hash, one(content, to / output, bar.advance, name))
                    csv.writer(table, lineterminator="\n").writerow(row)
                    table.flush()
                    before[name] = row
                    applied.done.append(name)
                if row.note:
                    applied.notes[name] = row.note
            except Undecodable as error:
                applied.skipped[name] = str(error)
            bar.show(completed=number)
    _write_rows(to / APPLIED, Row._fields, sorted(before.values()))
    _write_rows(to / SKIPPED, ("file", "reason"), sorted(applied.skipped.items()))
    return applied


def _list(source: Path, to: Path, skipped: dict[str, str]) -> list[str]:
    """The files of a folder, as sorted paths within it with forward slashes; what cannot be read is added to `skipped`."""
    found = []

    def unreadable(error: OSError) -> None:
        skipped[Path(error.filename).relative_to(source).as_posix()] = error.strerror or type(error).__name__

    for folder, inner, names in os.walk(source, onerror=unreadable):
        inner[:] = [name for name in inner if Path(folder, name).resolve() != to.resolve()]
        for name in [*names, *inner]:
            path = Path(folder, name)
            within = path.relative_to(source).as_posix()
            if path.is_file():
                found.append(within)
            elif name in names:
                skipped[within] = "no regular file"
            elif path.is_symlink():
                skipped[within] = "a link to a folder"
    return sorted(found)


def _outputs(names: Iterable[str]) -> dict[str, str]:
    """The output of each file: photo.jpg becomes photo.png, but photo.jpg and photo.tif become photo.jpg.png and photo.tif.png.

    Names that differ in case alone are one on some systems.
    """
    short = {}
    for name in names:
        stem, suffix = os.path.splitext(name)
        short[name] = f"{stem if suffix.lower() in SUFFIXES else name}.png"
    uses = Counter(output.casefold() for output in short.values())
    outputs: dict[str, str] = {}
    taken: set[str] = set()
    for name, output in short.items():
        output = output if uses[output.casefold()] == 1 else f"{name}.png"
        while output.casefold() in taken:
            output = f"{output.removesuffix('.png')}_.png"
        taken.add(output.casefold())
        outputs[name] = output
    return outputs


def _single_output(source: Path, to: Path, beside: str) -> Path:
    """The name of a single file's picture. `beside`: what another file that is written with it has in place of .png."""
    if to.is_dir() or to.suffix.lower() not in SUFFIXES:
        to = to / f"{source.stem}.png"
        if to.exists() and to.parent.resolve() == source.parent.resolve() and to.resolve() != source.resolve():
            raise Error(f"{to}: is there already, beside the photograph, and would be replaced; give a name, or another folder")
    elif to.suffix.lower() != ".png":
        raise Error(f"{to}: pictures are written as PNG; give a name that ends in .png, or a folder")
    for written in (to, to.with_suffix(beside)):
        if written.resolve() == source.resolve():
            raise Error(f"{written}: would replace the photograph; give another name or folder")
    return to


def _check_apart(source: Path, to: Path) -> None:
    if source.resolve().is_relative_to(to.resolve()):
        raise Error(f"{to}: the pictures would stand among the photographs of {source}; give another folder")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise Error(f"{path}: cannot be made ({error.strerror}); give another folder") from None
    if not os.access(path, os.W_OK):
        raise Error(f"{path}: cannot be written to; give another folder")


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Undecodable(f"larger than {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise Undecodable(error.strerror or type(error).__name__) from None


def _read_rows(path: Path) -> dict[str, Row]:
    """What is finished; a line that a killed process did not end is left out."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        whole = file.read().rpartition("\n")[0]
    lines = list(csv.reader(io.StringIO(whole, newline="")))
    if lines and tuple(lines[0]) != Row._fields:
        raise Error(f"{path}: not written by tasks.apply; give another folder, or remove the file")
    return {line[0]: Row(*line) for line in lines[1:] if len(line) == len(Row._fields)}


def _write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    # Names of files need not be UTF-8.
    with files.atomic(path) as temporary, temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main(
    experiment: Annotated[
        str, typer.Argument(help="a key of `experiments` in params.yaml whose network makes images of images, or detects")
    ],
    source: Annotated[Path, typer.Argument(metavar="IN", help="a photograph, or a folder of them (with the folders in it)")],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for the pictures; for one photograph also a name.png")],
    weights: Annotated[
        Path | None,
        typer.Option(
            callback=readable, help="a .safetensors file of the experiment; by default what is trained here, else what came along"
        ),
    ] = None,
) -> None:
    """Apply an experiment's network to photographs of any size; the pictures are PNG files of the same size.

    A detector's have its boxes, which stand in OUT/detections.json in COCO's format too.

    In a clean clone sobel-compact, sobel-autoencoder-per-image and yolo11n work at once: git carries their weights (models/weights). Others are trained first.

    What is finished is not done again. Files that cannot be used are listed in OUT/skipped.csv.
    """
    profile = config.load()
    path = weights or find_weights(profile, experiment)
    print(f"{experiment}: weights of {path}", file=sys.stderr)
    report(apply(profile, experiment, source, to, path), to)


def report(applied: Applied, to: Path) -> None:
    """Say on stderr what was done."""
    print(f"{to}: {len(applied.done)} done, {len(applied.unchanged)} unchanged, {len(applied.skipped)} skipped", file=sys.stderr)
    for what, which in (("note", applied.notes), ("skipped", applied.skipped)):
        for name, reason in [*which.items()][:10]:
            print(f"  {what}: {name}: {reason}", file=sys.stderr)
        if len(which) > 10:
            print(f"  and {len(which) - 10} more, in {to / (SKIPPED if what == 'skipped' else APPLIED)}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
