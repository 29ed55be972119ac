"""Download a data set: `data/raw/<dataset>/` with the publisher's files as they are, and `origin.json`: where they come from.

    python -m tasks.download DATASET                  the stage: as params.yaml says, into data/raw/DATASET
    python -m tasks.download --to DIR DATASET...      whole data sets, as a mirror for machines without internet

The environment variable DARKROOM_MIRROR (a folder or an http URL) comes before the URLs of `tasks.datasets.sets`:
`<mirror>/<dataset>/<file>`, checked against the `SHA256SUMS` there. What is partial stays in runs/state/, which DVC does not delete.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks import config
from tasks.common import files
from tasks.common.errors import Error
from tasks.datasets import archives, coco, embedded, sets
from tasks.datasets.sources import Dataset, Images
from tasks.datasets.supply import Supply, find_mirror, say
from tasks.datasets.transfer import Effort, Fetcher, Got, disk
from tasks.params.preparation import Download


def download(profile: config.Profile, dataset: str, effort: Effort = Effort()) -> Path:
    """Make `profile.raw(dataset)` and return it; it appears whole or not at all.

    Raises Error for an unknown data set, a file that cannot be had or has a wrong hash, a mirror that lacks a file, a full disk.
    """
    return fetch(
        sets.source(dataset),
        dataset,
        to=profile.raw(dataset),
        state=profile.state("downloads") / dataset,
        options=profile.params.download.get(dataset, Download()),
        mirror=os.environ.get("DARKROOM_MIRROR", ""),
        effort=effort,
    )


def fetch(
    source: Dataset, name: str, *, to: Path, state: Path, options: Download, mirror: str = "", effort: Effort = Effort()
) -> Path:
    """Get a data set's files and origin.json into the folder `to`; partial files stay in `state`. Raises Error as `download`."""
    if source.packaged:
        with disk(to), files.atomic_folder(to) as building:
            found = {file.name: embedded.write(file, building) for file in source.packaged}
            got = {n: Got(building / n, files.sha256(building / n), (building / n).stat().st_size) for n in found}
            _write_origin(building, name, "package", source, got, found)
        return to
    with Fetcher(name, effort) as fetcher:
        supply = find_mirror(fetcher, mirror, name, source, state) or Supply(name, source)
        work = state / supply.origin.replace(":", "-")
        got = _everything(fetcher, source, supply, work, options)
        with files.atomic_folder(to) as building:
            _place(got, building)
            _write_origin(building, name, supply.origin, source, got)
    _forget(work)
    say(f"{name}: {len(got):,} files, {sum(g.bytes for g in got.values()) / 1e6:,.1f} MB in {to} ({supply.origin})")
    return to


def make_mirror(folder: Path, name: str, source: Dataset | None = None, effort: Effort = Effort()) -> Path:
    """Put the whole of a data set, from its URLs, and SHA256SUMS into `folder/name`, unless it is there; return that.

    Raises Error as `download` does, and for a data set that comes with a package.
    """
    source = source or sets.source(name)
    target = folder / name
    if source.packaged:
        raise Error(f"{name} comes inside installed packages and needs no mirror")
    if (target / "SHA256SUMS").exists():
        say(f"{name}: already in {target}")
        return target
    with Fetcher(name, effort) as fetcher:
        work = folder / ".partial" / name
        got = _everything(fetcher, source, Supply(name, source), work, Download())
        with files.atomic_folder(target) as building:
            _place(got, building)
            (building / "SHA256SUMS").write_text("".join(f"{g.sha256}  {n}\n" for n, g in sorted(got.items())), encoding="utf-8")
    _forget(work)
    say(f"{name}: {len(got):,} files, {sum(g.bytes for g in got.values()) / 1e6:,.1f} MB in {target}")
    return target


def _write_origin(
    folder: Path, name: str, origin: str, source: Dataset, got: dict[str, Got], found: dict[str, dict[str, Any]] | None = None
) -> None:
    listed = [{"file": n, "sha256": g.sha256, "bytes": g.bytes, **(found or {}).get(n, {})} for n, g in sorted(got.items())]
    files.write_json(folder / "origin.json", {"dataset": name, "origin": origin, "licence": source.licence, "files": listed})


def _place(got: dict[str, Got], folder: Path) -> None:
    """Link the files into a folder, or copy them where that is not possible; the partial folder keeps them until all is done."""
    for name, one in got.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with disk(target):
            try:
                os.link(one.path, target)
            except OSError:
                shutil.copyfile(one.path, target)


def _forget(work: Path) -> None:
    """Empty the partial folder, but for files that were kept aside."""
    for path in sorted(work.rglob("*"), reverse=True):
        if path.is_dir():
            with suppress(OSError):
                path.rmdir()
        elif ".wrong-sha256-" not in path.name:
            path.unlink()
    for folder in (work, work.parent):
        with suppress(OSError):
            folder.rmdir()


def _everything(fetcher: Fetcher, source: Dataset, supply: Supply, work: Path, options: Download) -> dict[str, Got]:
    """All files of a data set, and the images that its annotations list, into the folder `work`."""
    wants = [want for file in supply.files if (want := supply.want(file))]
    say(f"{supply.dataset}: {len(wants)} files from {getattr(supply, 'root', 'their URLs')}")
    got = fetcher.all(wants, work)
    for images in source.images:
        listed = _listed(images, got, getattr(options, images.bound))
        got |= fetcher.all([supply.want_image(images, *image) for image in listed], work)
    return got


def _listed(images: Images, got: dict[str, Got], bound: int | None) -> list[tuple[str, tuple[int, int]]]:
    """The first `bound` images (default: all) that the annotations list, by image id. Raises Error."""
    path = got[images.annotations].path
    content = archives.read_member(path, images.member) if images.member else path.read_bytes()
    try:
        return coco.images(content)[:bound]
    except ValueError as error:
        raise Error(f"{path}: no annotation file in COCO's format ({error}); delete it and download it again") from None


def main(
    datasets: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(sets.names())}.", show_default=False)],
    to: Annotated[
        Path | None,
        typer.Option(help="Make a mirror in this folder: whole data sets from their URLs, with SHA256SUMS; needs no profile."),
    ] = None,
) -> None:
    """Download data sets into data/raw of the profile in this folder, or into a mirror.

    DARKROOM_MIRROR, a folder or an http URL, comes before the URLs. For machines without internet, run
    `python -m tasks.download --to DIR DATASET...` elsewhere, copy DIR, and set DARKROOM_MIRROR=DIR. Run again, the same
    command goes on where it was interrupted.
    """
    for name in datasets:
        sets.source(name)
    profile = None if to else config.load(experiments=False)
    for name in datasets:
        if profile is None and to:
            make_mirror(to, name)
        elif profile:
            download(profile, name)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
