"""Getting one file: it goes to a partial name, goes on from where it was cut, is checked, and only then has its name.

What is partial (`<name>.part`), and what had a wrong hash (`<name>.wrong-sha256-<hash>`), stays in the folder that is worked in.
"""

import errno
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx
import tenacity

from tasks.common import bars, files
from tasks.common.errors import Error
from tasks.datasets import archives

# Of what has no stated size.
MAX_FILE = 4 << 30
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
    check: Callable[[Path], str] | None = None  # where no hash is known: says what is wrong with the file, or nothing
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


class NotThere(Error):
    """No place has the file: each answered that it does not exist."""


@dataclass
class Fetcher:
    """Gets files, several at once; a context manager that shows the progress and closes the connections."""

    title: str  # what the files belong to
    effort: Effort
    stop: threading.Event = field(default_factory=threading.Event)
    client: httpx.Client = field(init=False)

    def __enter__(self) -> "Fetcher":
        limits = httpx.Limits(max_connections=self.effort.at_once)
        # A file that is compressed on the way has other bytes than those that were hashed, and cannot be continued.
        headers = {"Accept-Encoding": "identity", "User-Agent": "darkroom (httpx)"}
        self.client = httpx.Client(follow_redirects=True, timeout=self.effort.timeout, limits=limits, headers=headers)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def all(self, wants: list[Want], work: Path) -> dict[str, Got]:
        """All files by name, into the folder `work`. Raises Error as `get`; what is there by then stays for the next time."""
        single = len(wants) > 16
        # Many small files have one bar together; few large ones have one each.
        with bars.bars("steps" if single else "bytes") as shown, ThreadPoolExecutor(self.effort.at_once) as pool:
            whole = shown.add(wants[0].name.split("/")[0], len(wants)) if single else None

            def get(want: Want) -> Got:
                if whole is not None:
                    got = self.get(want, work)
                    whole.advance()
                    return got
                return self.get(want, work, shown.add(want.name, want.size).show)

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
        with disk(target):
            if want.member is not None:
                archive = self.get(replace(want, name=f"{want.name}.zip", member=None, check=None), work, tick)
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
        error = NotThere if all(isinstance(refused, _Absent) for _, refused in refusals) else Error
        expected = (
            f"expected SHA-256 {want.sha256} (published in {want.published})" if want.sha256 else "no hash is published for it"
        )
        tried = "".join(f"\n  {place}\n    {refused}" for place, refused in refusals)
        raise error(f"{self.title}: {want.name} could not be had{tried}\n  {expected}\n{want.advice}")

    def _get_from(self, place: str, want: Want, target: Path, tick: Tick) -> Got:
        part = target.with_name(target.name + ".part")
        while True:
            continued = part.is_file()
            if is_url(place):
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


def kept_as(url: str, sha256: str | None) -> str:
    """The name of a URL's file among those of other URLs: it carries the file's hash, or that of the whole URL where none is known.

    URLs often end alike, as in best.pt, and a file that is there is taken without a question where no hash is known.
    """
    name = re.sub(r"[^\w.-]", "_", Path(urlsplit(url).path).name) or "file"
    return f"{sha256[:12]}-{name}" if sha256 else f"unchecked-{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"


def is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


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
    return got, want.check(path) if want.check else ""


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Raises Error where the block finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Error(
            f"the disk is full: {path} cannot be written; make room and run the same command again, which goes on"
        ) from None
