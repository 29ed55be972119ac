"""Download a data set: `data/raw/<dataset>/` with the publisher's files as they are, and `origin.json`: where they come from.

    python -m tasks.download DATASET                  the stage: as params.yaml says, into data/raw/DATASET
    python -m tasks.download --to DIR DATASET...      whole data sets, as a mirror for machines without internet

The environment variable DARKROOM_MIRROR (a folder or an http URL) comes before the URLs of `tasks.datasets.sets`:
`<mirror>/<dataset>/<file>`, checked against the `SHA256SUMS` there. What is partial stays in runs/state/, which DVC does not delete.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from PIL import Image, UnidentifiedImageError

from tasks import config
from tasks.common import files
from tasks.common.errors import Error
from tasks.datasets import archives, coco, embedded, sets
from tasks.datasets.sources import Dataset, File, Images
from tasks.datasets.transfer import Effort, Fetcher, Got, NotThere, Want, disk, is_url
from tasks.params.preparation import Download

# Bounds of what has no stated size.
MAX_IMAGE = 32 << 20
MAX_SUMS = 64 << 20


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
        supply = _mirror(fetcher, mirror, name, source, state) or Supply(name, source)
        work = state / supply.origin.replace(":", "-")
        got = _everything(fetcher, source, supply, work, options)
        with files.atomic_folder(to) as building:
            _place(got, building)
            _write_origin(building, name, supply.origin, source, got)
    _forget(work)
    _say(f"{name}: {len(got):,} files, {sum(g.bytes for g in got.values()) / 1e6:,.1f} MB in {to} ({supply.origin})")
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
        _say(f"{name}: already in {target}")
        return target
    with Fetcher(name, effort) as fetcher:
        work = folder / ".partial" / name
        got = _everything(fetcher, source, Supply(name, source), work, Download())
        with files.atomic_folder(target) as building:
            _place(got, building)
            (building / "SHA256SUMS").write_text("".join(f"{g.sha256}  {n}\n" for n, g in sorted(got.items())), encoding="utf-8")
    _forget(work)
    _say(f"{name}: {len(got):,} files, {sum(g.bytes for g in got.values()) / 1e6:,.1f} MB in {target}")
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


# --------------------------------------------------------------------------------------------------------------- URLs and mirrors


@dataclass(frozen=True)
class Supply:
    """Where files come from: the URLs of the table."""

    dataset: str
    source: Dataset

    @property
    def origin(self) -> str:
        return "url"

    @property
    def files(self) -> tuple[File, ...]:
        return self.source.files

    def want(self, file: File) -> Want | None:
        """How to get a file; None where it may be done without. Raises Error where there is no way."""
        if not file.urls:
            raise Error(
                f"{self.dataset}: {file.name} has no public direct URL. {self.source.by_hand}.\n"
                f"  Publisher: {self.source.home}\n"
                f"  Then make a mirror of it:  mkdir -p DIR/{self.dataset} && mv {file.name} DIR/{self.dataset}/ && "
                f"cd DIR/{self.dataset} && sha256sum {file.name} > SHA256SUMS\n"
                f"  and set DARKROOM_MIRROR=DIR (the other data sets still come from their URLs)"
            )
        check = check_of(file)
        return Want(
            file.name, file.urls, file.sha256, file.published, file.size, member=file.member, check=check, advice=self._advice
        )

    def want_image(self, images: Images, name: str, pixels: tuple[int, int]) -> Want:
        places = tuple(url + name for url in images.urls)
        return Want(
            f"{images.folder}/{name}", places, limit=MAX_IMAGE, check=partial(_not_decoded, (pixels,)), advice=self._advice
        )

    @property
    def _advice(self) -> str:
        return (
            f"Run the same command again, which goes on from what is there. Without internet: make a mirror where there is,\n"
            f"  python -m tasks.download --to DIR {self.dataset}\ncopy DIR here, and set DARKROOM_MIRROR=DIR"
        )


@dataclass(frozen=True)
class Mirror(Supply):
    """Where files come from: a folder or an http URL with `<dataset>/<file>`, and the hashes of its `SHA256SUMS`."""

    root: str
    folder: str  # the data set's, or that of the one which its files stand within
    sums: dict[str, str]
    version: str  # SHA-256 of SHA256SUMS

    @property
    def origin(self) -> str:
        return f"mirror:{self.version[:12]}"

    @property
    def files(self) -> tuple[File, ...]:
        repacked = self.source.repacked
        return repacked if repacked and self._has(repacked) and not self._has(self.source.files) else self.source.files

    @property
    def whole(self) -> bool:
        """Whether it has all files of the data set."""
        return self._has(self.files)

    def _has(self, files: tuple[File, ...]) -> bool:
        return all(file.name in self.sums or file.optional for file in files)

    def want(self, file: File) -> Want | None:
        if file.name not in self.sums and file.optional:
            _say(f"{self.dataset}: the mirror {self.root} has no {file.name}; going on without it")
            return None
        return self._want(file.name)

    def want_image(self, images: Images, name: str, pixels: tuple[int, int]) -> Want:
        return self._want(f"{images.folder}/{name}")

    def _want(self, name: str) -> Want:
        if name not in self.sums:
            raise Error(
                f"the mirror {self.root} has no {self.folder}/{name} in {self.folder}/SHA256SUMS; complete it, or take "
                f"the folder {self.folder} out of it, so that the data set comes from its URLs"
            )
        place = _join(self.root, f"{self.folder}/{name}")
        advice = f"Put the mirror {self.root} right, or unset DARKROOM_MIRROR"
        return Want(name, (place,), self.sums[name], f"the mirror's {self.folder}/SHA256SUMS", advice=advice)


def _join(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{quote(name)}" if is_url(root) else str(Path(root).expanduser() / name)


def _mirror(fetcher: Fetcher, root: str, name: str, source: Dataset, state: Path) -> Mirror | None:
    """The mirror's part for a data set; None without a mirror, or where it has nothing of this data set. Raises Error."""
    if not root:
        return None
    if (text := _sums(fetcher, root, name, state)) is not None:
        return _read_sums(root, name, name, source, text)
    if source.within and (text := _sums(fetcher, root, source.within, state)) is not None:
        mirror = _read_sums(root, name, source.within, source, text)
        # What has the other data set alone lacks nothing.
        if mirror.whole:
            return mirror
    _say(f"{name}: the mirror {root} does not have it; taking it from its URLs")
    return None


def _sums(fetcher: Fetcher, root: str, folder: str, state: Path) -> bytes | None:
    """The content of `<mirror>/<folder>/SHA256SUMS`; None where the mirror has no such folder. Raises Error."""
    if is_url(root):
        path = state / "SHA256SUMS"
        path.unlink(missing_ok=True)
        try:
            advice = "Check the address in DARKROOM_MIRROR, and that its server runs"
            fetcher.get(Want("SHA256SUMS", (_join(root, f"{folder}/SHA256SUMS"),), limit=MAX_SUMS, advice=advice), state)
        except NotThere:
            return None
        text = path.read_bytes()
        path.unlink()
        return text
    place = Path(_join(root, folder))
    path = place / "SHA256SUMS"
    if not place.parent.is_dir():
        raise Error(f"DARKROOM_MIRROR={root}: no such folder")
    if not place.is_dir():
        return None
    if not path.is_file():
        raise Error(f"{path}: no such file; make it there: find * -type f -exec sha256sum {{}} + > SHA256SUMS")
    return path.read_bytes()


def _read_sums(root: str, name: str, folder: str, source: Dataset, text: bytes) -> Mirror:
    sums: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
        if not match:
            raise Error(f"{_join(root, folder)}/SHA256SUMS: not lines of a SHA-256, two spaces and a name: {line[:80]!r}")
        sums[match[2]] = match[1].lower()
    return Mirror(name, source, root, folder, sums, hashlib.sha256(text).hexdigest())


# ----------------------------------------------------------------------------------------------------- a data set's files and images


def _everything(fetcher: Fetcher, source: Dataset, supply: Supply, work: Path, options: Download) -> dict[str, Got]:
    """All files of a data set, and the images that its annotations list, into the folder `work`."""
    wants = [want for file in supply.files if (want := supply.want(file))]
    _say(f"{supply.dataset}: {len(wants)} files from {getattr(supply, 'root', 'their URLs')}")
    got = fetcher.all(wants, work)
    for images in source.images:
        listed = _listed(images, got, getattr(options, images.bound))
        got |= fetcher.all([supply.want_image(images, *image) for image in listed], work)
    return got


def check_of(file: File) -> Callable[[Path], str] | None:
    """What says of a file without a published hash what is wrong with it, or nothing; None for a kind that cannot be checked."""
    if file.name.endswith(".json"):
        return _not_coco
    if file.sizes:
        return partial(_not_decoded, file.sizes)
    if file.name.endswith(archives.ENDINGS):
        return partial(_not_unpacked, file.name)
    return None


def _not_decoded(sizes: tuple[tuple[int, int], ...], path: Path) -> str:
    try:
        with Image.open(path) as image:
            if image.size not in sizes:
                return f"its size is {image.size} pixels, and {' or '.join(map(str, sizes))} is expected"
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        return f"it does not decode as an image ({error})"
    return ""


def _not_unpacked(name: str, path: Path) -> str:
    """Each file is read to its end, where its checksum stands."""
    try:
        return "" if sum(1 for _ in archives.read_members(path, name=name)) else "it is an empty archive"
    except Error as error:
        return str(error)


def _not_coco(path: Path) -> str:
    try:
        coco.images(path.read_bytes())
    except ValueError as error:
        return f"it is no annotation file in COCO's format ({error})"
    return ""


def _listed(images: Images, got: dict[str, Got], bound: int | None) -> list[tuple[str, tuple[int, int]]]:
    """The first `bound` images (default: all) that the annotations list, by image id. Raises Error."""
    path = got[images.annotations].path
    content = archives.read_member(path, images.member) if images.member else path.read_bytes()
    try:
        return coco.images(content)[:bound]
    except ValueError as error:
        raise Error(f"{path}: no annotation file in COCO's format ({error}); delete it and download it again") from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
