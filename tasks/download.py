"""Download a data set: `data/raw/<dataset>/` with the publisher's files as they are, and `origin.json`: where they come from.

    python -m tasks.download DATASET                  the stage: as params.yaml says, into data/raw/DATASET
    python -m tasks.download --to DIR DATASET...      whole data sets, as a mirror for machines without internet

A file goes to a partial name, goes on from where it was cut, is checked, and only then has its name. The environment variable
DARKROOM_MIRROR (a folder or an http URL) comes before the URLs of `tasks.sources`: `<mirror>/<dataset>/<file>`, checked against
the `SHA256SUMS` there. What is partial stays in runs/state/, which DVC does not delete.
"""

import difflib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote

import httpx
import tenacity
import typer
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tasks import archives, config, embedded, files
from tasks.errors import Error
from tasks.sources import DATASETS, Dataset, File, Images

# Bounds of what has no stated size.
MAX_FILE = 4 << 30
MAX_IMAGE = 32 << 20
MAX_SUMS = 64 << 20
CHUNK = 1 << 20


@dataclass(frozen=True)
class Effort:
    """How hard a download tries."""

    attempts: int = 6  # in a row that bring nothing new
    connections: int = 3  # in a row to a server that does not answer
    wait: float = 1.0  # seconds before the second attempt, doubled from then on
    longest_wait: float = 60.0
    timeout: float = 30.0  # seconds without a sign of life
    at_once: int = 8


@dataclass(frozen=True)
class Want:
    """A file to get: from where, and what is known of it."""

    name: str
    places: tuple[str, ...]  # URLs, or a path in a mirror folder
    sha256: str | None = None
    published: str = ""
    size: int | None = None  # bytes
    limit: int = MAX_FILE  # bytes, where no size is known
    pixels: tuple[int, int] | None = None  # width, height: the check of an image without a hash
    member: str | None = None  # what is got is a zip archive, which the above belongs to; the file is this member
    advice: str = ""  # what to do when it cannot be had


# Called with the bytes that are there, and the bytes in all, where that is known.
Tick = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Got:
    """A file that is there and right."""

    path: Path
    sha256: str
    bytes: int


class _Refused(Exception):
    """A place does not give the file; the next one may."""


class _Absent(_Refused):
    """A place says that the file does not exist."""


class _Passing(Exception):
    """A fault that may pass: the server is busy, or the connection was cut. `wait`: seconds that the server asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


# ---------------------------------------------------------------------------------------------------------------------- data sets


def download(profile: config.Profile, dataset: str, effort: Effort = Effort()) -> Path:
    """Make `profile.raw(dataset)` and return it; it appears whole or not at all.

    Raises Error for an unknown data set, a file that cannot be had or has a wrong hash, a mirror that lacks a file, a full disk.
    """
    return fetch(
        _known(dataset),
        dataset,
        to=profile.raw(dataset),
        state=profile.state("downloads") / dataset,
        options=profile.params.download.get(dataset, config.Download()),
        mirror=os.environ.get("DARKROOM_MIRROR", ""),
        effort=effort,
    )


def fetch(
    source: Dataset, name: str, *, to: Path, state: Path, options: config.Download, mirror: str = "", effort: Effort = Effort()
) -> Path:
    """Get a data set's files and origin.json into the folder `to`; partial files stay in `state`. Raises Error as `download`."""
    if source.packaged:
        with _disk(to), files.atomic_folder(to) as building:
            found = {file.name: embedded.write(file, building) for file in source.packaged}
            got = {n: Got(building / n, files.sha256(building / n), (building / n).stat().st_size) for n in found}
            _write_origin(building, name, "package", source, got, found)
        return to
    with _Fetcher(name, effort) as fetcher:
        supply = _mirror(fetcher, mirror, name, source, state) or Supply(name, source)
        work = state / supply.origin.replace(":", "-")
        got = fetcher.everything(source, supply, work, options)
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
    source = source or _known(name)
    target = folder / name
    if source.packaged:
        raise Error(f"{name} comes inside installed packages and needs no mirror")
    if (target / "SHA256SUMS").exists():
        _say(f"{name}: already in {target}")
        return target
    with _Fetcher(name, effort) as fetcher:
        work = folder / ".partial" / name
        got = fetcher.everything(source, Supply(name, source), work, config.Download())
        with files.atomic_folder(target) as building:
            _place(got, building)
            (building / "SHA256SUMS").write_text("".join(f"{g.sha256}  {n}\n" for n, g in sorted(got.items())), encoding="utf-8")
    _forget(work)
    _say(f"{name}: {len(got):,} files, {sum(g.bytes for g in got.values()) / 1e6:,.1f} MB in {target}")
    return target


def _known(name: str) -> Dataset:
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Error(f"unknown data set {name!r}; {hint}allowed: {', '.join(DATASETS)}")
    return DATASETS[name]


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
        with _disk(target):
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
        return Want(file.name, file.urls, file.sha256, file.published, file.size, member=file.member, advice=self._advice)

    def want_image(self, images: Images, name: str, pixels: tuple[int, int]) -> Want:
        places = tuple(url + name for url in images.urls)
        return Want(f"{images.folder}/{name}", places, limit=MAX_IMAGE, pixels=pixels, advice=self._advice)

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
    sums: dict[str, str]
    version: str  # SHA-256 of SHA256SUMS

    @property
    def origin(self) -> str:
        return f"mirror:{self.version[:12]}"

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
                f"the mirror {self.root} has no {self.dataset}/{name} in {self.dataset}/SHA256SUMS; complete it, or take "
                f"the folder {self.dataset} out of it, so that the data set comes from its URLs"
            )
        place = _join(self.root, f"{self.dataset}/{name}")
        advice = f"Put the mirror {self.root} right, or unset DARKROOM_MIRROR"
        return Want(name, (place,), self.sums[name], f"the mirror's {self.dataset}/SHA256SUMS", advice=advice)


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _join(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{quote(name)}" if _is_url(root) else str(Path(root).expanduser() / name)


def _mirror(fetcher: "_Fetcher", root: str, name: str, source: Dataset, state: Path) -> Mirror | None:
    """The mirror's part for a data set; None without a mirror, or where it has nothing of this data set. Raises Error."""
    if not root:
        return None
    missing = f"{name}: the mirror {root} does not have it; taking it from its URLs"
    if _is_url(root):
        path = state / "SHA256SUMS"
        path.unlink(missing_ok=True)
        try:
            advice = "Check the address in DARKROOM_MIRROR, and that its server runs"
            fetcher.get(Want("SHA256SUMS", (_join(root, f"{name}/SHA256SUMS"),), limit=MAX_SUMS, advice=advice), state)
        except _NotThere:
            _say(missing)
            return None
    else:
        folder = Path(_join(root, name))
        path = folder / "SHA256SUMS"
        if not folder.parent.is_dir():
            raise Error(f"DARKROOM_MIRROR={root}: no such folder")
        if not folder.is_dir():
            _say(missing)
            return None
        if not path.is_file():
            raise Error(f"{path}: no such file; make it there: find * -type f -exec sha256sum {{}} + > SHA256SUMS")
    text = path.read_bytes()
    if _is_url(root):
        path.unlink()
    sums: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
        if not match:
            raise Error(f"{_join(root, name)}/SHA256SUMS: not lines of a SHA-256, two spaces and a name: {line[:80]!r}")
        sums[match[2]] = match[1].lower()
    return Mirror(name, source, root, sums, hashlib.sha256(text).hexdigest())


# ---------------------------------------------------------------------------------------------------------------------- one file


class _NotThere(Error):
    """No place has the file: each answered that it does not exist."""


@dataclass
class _Fetcher:
    """Gets files, several at once; a context manager that shows the progress and closes the connections."""

    dataset: str
    effort: Effort
    stop: threading.Event = field(default_factory=threading.Event)
    client: httpx.Client = field(init=False)

    def __enter__(self) -> "_Fetcher":
        limits = httpx.Limits(max_connections=self.effort.at_once)
        # A file that is compressed on the way has other bytes than those that were hashed, and cannot be continued.
        headers = {"Accept-Encoding": "identity", "User-Agent": "darkroom (httpx)"}
        self.client = httpx.Client(follow_redirects=True, timeout=self.effort.timeout, limits=limits, headers=headers)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def everything(self, source: Dataset, supply: Supply, work: Path, options: config.Download) -> dict[str, Got]:
        """All files of a data set, and the images that its annotations list, into the folder `work`."""
        wants = [want for file in source.files if (want := supply.want(file))]
        _say(f"{self.dataset}: {len(wants)} files from {getattr(supply, 'root', 'their URLs')}")
        got = self._all(wants, work)
        for images in source.images:
            listed = _listed(images, got, getattr(options, images.bound))
            got |= self._all([supply.want_image(images, *image) for image in listed], work)
        return got

    def _all(self, wants: list[Want], work: Path) -> dict[str, Got]:
        single = len(wants) > 16
        with _progress(single) as progress, ThreadPoolExecutor(self.effort.at_once) as pool:
            whole = progress.add_task(wants[0].name.split("/")[0], total=len(wants)) if single else None

            def get(want: Want) -> Got:
                if whole is not None:
                    got = self.get(want, work)
                    progress.advance(whole)
                    return got
                task = progress.add_task(want.name, total=want.size)
                return self.get(want, work, lambda done, total: progress.update(task, completed=done, total=total))

            futures = {pool.submit(get, want): want.name for want in wants}
            try:
                return {futures[future]: future.result() for future in as_completed(futures)}
            except BaseException:
                # Ctrl-C too: what is under way ends at its next piece, and what is there of it stays for the next time.
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def get(self, want: Want, work: Path, tick: Tick = lambda done, total: None) -> Got:
        """One file, checked. Raises Error with the places tried, what was expected, and what to do."""
        target = work / want.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with _disk(target):
            if want.member is not None:
                archive = self.get(replace(want, name=f"{want.name}.zip", member=None), work, tick)
                with files.atomic(target) as temporary:
                    temporary.write_bytes(archives.read_member(archive.path, want.member))
                return _check(target, Want(want.name, ()))[0]
            if target.is_file():
                got, problem = _check(target, want)
                if not problem:
                    return got
            refusals: list[tuple[str, _Refused]] = []
            for place in want.places:
                try:
                    return self._get_from(place, want, target, tick)
                except _Refused as refused:
                    refusals.append((place, refused))
        error = _NotThere if all(isinstance(refused, _Absent) for _, refused in refusals) else Error
        expected = (
            f"expected SHA-256 {want.sha256} (published in {want.published})" if want.sha256 else "no hash is published for it"
        )
        tried = "".join(f"\n  {place}\n    {refused}" for place, refused in refusals)
        raise error(f"{self.dataset}: {want.name} could not be had{tried}\n  {expected}\n{want.advice}")

    def _get_from(self, place: str, want: Want, target: Path, tick: Tick) -> Got:
        part = target.with_name(target.name + ".part")
        while True:
            continued = part.is_file()
            if _is_url(place):
                self._retrieve(place, want, part, tick)
            else:
                self._copy(Path(place), want, part, tick)
            got, problem = _check(part, want)
            _note(part).unlink(missing_ok=True)
            if not problem:
                os.replace(part, target)
                return replace(got, path=target)
            if not continued:
                break
            # Its beginning may have been of another edition than its end.
            part.unlink()
        aside = target.with_name(f"{target.name}.wrong-sha256-{got.sha256[:8]}")
        os.replace(part, aside)
        raise _Refused(f"{problem}; kept aside as {aside}")

    def _retrieve(self, url: str, want: Want, part: Path, tick: Tick) -> None:
        """Bring `part` to its whole length, with retries. Raises _Refused."""
        longest, idle = _length(part), 0

        def count(state: tenacity.RetryCallState) -> None:
            nonlocal longest, idle
            idle = idle + 1 if _length(part) <= longest else 1
            longest = max(longest, _length(part))

        def wait(state: tenacity.RetryCallState) -> float:
            asked = getattr(_fault(state), "wait", 0.0)
            return min(max(self.effort.wait * 2 ** (idle - 1), asked), self.effort.longest_wait)

        def stop(state: tenacity.RetryCallState) -> bool:
            # Where nobody answers at all, there is seldom anybody a minute later.
            most = self.effort.connections if isinstance(_fault(state), httpx.ConnectError) else self.effort.attempts
            return idle >= most or self.stop.is_set()

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _Passing)),
            after=count,
            wait=wait,
            stop=stop,
            sleep=tenacity.sleep_using_event(self.stop),
            reraise=True,
        )
        try:
            retrying(self._attempt, url, want, part, tick)
        except (httpx.HTTPError, httpx.InvalidURL, _Passing) as error:
            raise _Refused(f"{type(error).__name__.strip('_')}: {error}") from None

    def _attempt(self, url: str, want: Want, part: Path, tick: Tick) -> None:
        done = _length(part)
        validator = _validator(part, url)
        if done and not (validator or want.sha256):
            # Nothing could tell whether the server still has the same file.
            part.unlink()
            done = 0
        headers = {"Range": f"bytes={done}-"} if done else {}
        if done and validator:
            headers["If-Range"] = validator
        with self.client.stream("GET", url, headers=headers) as response:
            status = response.status_code
            span = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            if status == 416 and span and span[2] == str(done):
                return
            if status == 416 or (status == 206 and (not span or span[1] != str(done))):
                part.unlink(missing_ok=True)
                raise _Passing("the server has not the rest of what is here")
            if status in (404, 410):
                raise _Absent(f"{status} {response.reason_phrase}")
            if status in (408, 425, 429) or status >= 500:
                asked = response.headers.get("Retry-After", "")
                raise _Passing(f"{status} {response.reason_phrase}", float(asked) if asked.isdecimal() else 0.0)
            if status not in (200, 206):
                raise _Refused(f"{status} {response.reason_phrase}")
            if status == 200:
                done = 0
            announced = response.headers.get("Content-Length", "")
            total = done + int(announced) if announced.isdecimal() else None
            _bound(want, total or 0)
            files.write_json(_note(part), {"url": url, "validator": _strong(response.headers)})
            with part.open("ab" if done else "wb") as out:
                for piece in response.iter_raw():
                    done = self._write(out, piece, done, want, part)
                    tick(done, total or want.size)
            if total is None and want.size and done < want.size:
                raise _Passing(f"the connection was cut at {done:,} of {want.size:,} bytes")

    def _copy(self, source: Path, want: Want, part: Path, tick: Tick) -> None:
        try:
            with source.open("rb") as file, part.open("wb") as out:
                done, total = 0, os.fstat(file.fileno()).st_size
                _bound(want, total)
                while piece := file.read(CHUNK):
                    done = self._write(out, piece, done, want, part)
                    tick(done, total)
        except FileNotFoundError:
            raise _Absent("no such file") from None

    def _write(self, out: IO[bytes], piece: bytes, done: int, want: Want, part: Path) -> int:
        """Append a piece and return the new length."""
        if self.stop.is_set():
            raise _Refused("stopped")
        done += len(piece)
        try:
            _bound(want, done)
        except _Refused:
            part.unlink()
            raise
        out.write(piece)
        return done


def _fault(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _bound(want: Want, length: int) -> None:
    limit = want.size or want.limit
    if length > limit:
        raise _Refused(f"it is larger than the {limit:,} bytes that it may have")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _note(part: Path) -> Path:
    """What is remembered of a partial file: its URL, and the server's name for this edition of it."""
    return part.with_name(part.name + ".json")


def _validator(part: Path, url: str) -> str:
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(note["validator"]) if note.get("url") == url else ""


def _strong(headers: httpx.Headers) -> str:
    """What If-Range takes: a strong ETag, else the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _check(path: Path, want: Want) -> tuple[Got, str]:
    """A file's hash and size, and what is wrong with it (nothing: an empty string)."""
    got = Got(path, files.sha256(path), path.stat().st_size)
    if want.sha256:
        return got, "" if got.sha256 == want.sha256 else f"wrong SHA-256: expected {want.sha256}, found {got.sha256}"
    if want.pixels:
        return got, _not_decoded(path, want.pixels)
    if want.name.endswith(".json"):
        return got, _not_coco(path)
    return got, ""


def _not_decoded(path: Path, pixels: tuple[int, int]) -> str:
    try:
        with Image.open(path) as image:
            if image.size != pixels:
                return f"its size is {image.size} pixels, and {pixels} in the annotations"
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        return f"it does not decode as an image ({error})"
    return ""


def _not_coco(path: Path) -> str:
    try:
        _image_list(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        return f"it is no annotation file in COCO's format ({error!r})"
    return ""


def _image_list(annotations: bytes) -> list[tuple[str, tuple[int, int]]]:
    """File name, and width and height in pixels, by image id. Raises ValueError, KeyError or TypeError."""
    found = []
    for image in sorted(json.loads(annotations)["images"], key=lambda image: int(image["id"])):
        # The names come from the network, and become paths.
        if not re.fullmatch(r"\w[\w.-]*", image["file_name"]):
            raise ValueError(f"not a plain file name: {image['file_name']!r}")
        found.append((image["file_name"], (int(image["width"]), int(image["height"]))))
    return found


def _listed(images: Images, got: dict[str, Got], bound: int | None) -> list[tuple[str, tuple[int, int]]]:
    """The first `bound` images (default: all) that the annotations list, by image id. Raises Error."""
    path = got[images.annotations].path
    content = archives.read_member(path, images.member) if images.member else path.read_bytes()
    try:
        return _image_list(content)[:bound]
    except (ValueError, KeyError, TypeError) as error:
        raise Error(f"{path}: no annotation file in COCO's format ({error!r}); delete it and download it again") from None


# ------------------------------------------------------------------------------------------------------------------------ outside


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Error(
            f"the disk is full: {path} cannot be written; make room and run the same command again, which goes on"
        ) from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(single: bool) -> Progress:
    """A bar for all files together, or one a file with bytes and speed; nothing where no terminal shows it."""
    console = Console(stderr=True)
    amount = [MofNCompleteColumn()] if single else [DownloadColumn(), TransferSpeedColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn()]
    return Progress(*columns, console=console, disable=not console.is_terminal)


def main(
    datasets: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(DATASETS)}.", show_default=False)],
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
        _known(name)
    profile = None if to else config.load(".")
    for name in datasets:
        if profile is None and to:
            make_mirror(to, name)
        elif profile:
            download(profile, name)


if __name__ == "__main__":
    from tasks.cli import run

    run(main)
