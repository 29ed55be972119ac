"""Reading tar, tar.gz and zip archives that are not trusted.

An archive is refused, with an Error that names it, when it is damaged or cut short, when a member's name is absolute or
climbs with `..`, when a member is anything but a plain file or folder (links, devices), or when it unpacks to more than is
allowed. Nothing is written outside the folder that was asked for, and nothing there unless the whole archive is good.
Owners, modes and times are not taken over. This is stricter than tarfile's `data` filter, and the same for zip.
"""

import gzip
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, cast

from tasks.common.errors import Error
from tasks.common.files import atomic_folder

ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")
MAX_BYTES = 16 << 30
MAX_MEMBER = 1 << 30
MAX_MEMBERS = 2_000_000
# Headers and padding that one member of a tar archive may add to the stream; a long name takes three blocks of 512.
_TAR_OVERHEAD = 8192
# Names that mean something else than a plain relative path to some system.
_UNSAFE = re.compile(r"[\\\0]|^/|^[A-Za-z]:|(^|/)\.\.(/|$)")

_DAMAGES = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, UnicodeError)


@dataclass(frozen=True)
class Member:
    """A plain file in an archive: its path with `/`, and its unpacked size in bytes."""

    name: str
    bytes: int


def members(path: Path, max_bytes: int = MAX_BYTES) -> list[Member]:
    """The files in an archive, in its order. Raises Error for an archive that is refused."""
    return [member for member, _ in _walk(path, max_bytes)]


def read_members(
    path: Path,
    wanted: Callable[[str], bool] | None = None,
    max_bytes: int = MAX_BYTES,
    max_member: int = MAX_MEMBER,
    name: str | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files whose name is `wanted` (default: all), in the archive's order; nothing goes to disk.

    `max_bytes` bounds the whole archive's unpacked size, `max_member` each file that is read. The ending of `name` (default: the
    path's) says what kind of archive it is. Raises Error for an archive that is refused, as soon as the reason is met.
    """
    for member, open_ in _walk(path, max_bytes, name):
        if wanted is None or wanted(member.name):
            _bound(path, member, max_member)
            with _damage(path), open_() as file:
                content = file.read()
            yield member.name, content


def read_member(path: Path, name: str, max_member: int = MAX_MEMBER) -> bytes:
    """One file's content. Raises Error when it is not there, or the archive is refused."""
    for _, content in read_members(path, lambda n: n == name, max_member=max_member):
        return content
    raise Error(f"{path}: no {name} in this archive; is it another edition?")


def extract(path: Path, to: Path, max_bytes: int = MAX_BYTES, max_member: int = MAX_MEMBER) -> Path:
    """Unpack into the folder `to`, which appears whole or not at all, in place of what was there. Raises Error as `members`."""
    with atomic_folder(to) as building:
        for member, open_ in _walk(path, max_bytes):
            _bound(path, member, max_member)
            target = building / member.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as out, _damage(path), open_() as file:
                    shutil.copyfileobj(file, out, 1 << 20)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise Error(f"{path}: refused: it holds {member.name!r} twice") from None
    return to


def tail(name: str, parts: int) -> str:
    """The last parts of a member's path."""
    return "/".join(name.split("/")[-parts:])


def _walk(path: Path, max_bytes: int, name: str | None = None) -> Iterator[tuple[Member, Callable[[], IO[bytes]]]]:
    """Each file with a function that opens it, to be called before the next one is asked for."""
    ending = next((ending for ending in ENDINGS if (name or path.name).endswith(ending)), None)
    if ending is None:
        raise Error(f"{path}: not an archive that is known here; allowed: {', '.join(ENDINGS)}")
    walk = _walk_zip(path) if ending == ".zip" else _walk_tar(path, max_bytes, gzipped=ending != ".tar")
    total = count = 0
    with _damage(path):
        for name, size, plain, open_ in walk:
            if _UNSAFE.search(name) or not name:
                raise Error(f"{path}: refused: it would write outside its folder, to {name!r}")
            if not plain:
                raise Error(f"{path}: refused: {name!r} is no plain file or folder but a link, a device or encrypted")
            total, count = total + size, count + 1
            if total > max_bytes or count > MAX_MEMBERS:
                raise Error(f"{path}: refused: it unpacks to more than {max_bytes:,} bytes or {MAX_MEMBERS:,} files")
            if open_ is not None:
                yield Member(name.removeprefix("./"), size), open_


# Name, unpacked bytes, whether it is a plain file or folder, and how to open it (None for a folder).
_Entry = tuple[str, int, bool, Callable[[], IO[bytes]] | None]


def _walk_zip(path: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR) and not info.flag_bits & 1
            # zipfile cuts a name at a zero byte, so the name as it was written is the one to judge.
            name = info.orig_filename
            yield name, info.file_size, plain, None if name.endswith("/") else partial(archive.open, info)


def _walk_tar(path: Path, max_bytes: int, gzipped: bool) -> Iterator[_Entry]:
    open_ = gzip.open if gzipped else open
    with cast(BinaryIO, open_(path, "rb")) as file:
        source = _Bounded(path, file, max_bytes + (1 << 20))
        with tarfile.open(fileobj=cast(IO[bytes], source), mode="r|") as archive:
            for info in archive:
                source.left += _TAR_OVERHEAD
                plain = (info.isreg() or info.isdir()) and not info.issparse()
                yield info.name, info.size if info.isreg() else 0, plain, None if info.isdir() else partial(_open, archive, info)
                # Else the list of members grows without bound.
                archive.members = []  # type: ignore[attr-defined]
            # An archive ends with a block of zeros; one that was cut between two members has none, which tarfile does not mind.
            stream = archive.fileobj
            if stream is None or stream.tell() != archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
        # gzip's own check sum stands at the very end.
        while source.read(1 << 20):
            pass


def _open(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast(IO[bytes], archive.extractfile(info))


@dataclass
class _Bounded:
    """A stream that may be read up to `left` bytes: a small file can unpack to anything, inside its headers too."""

    path: Path
    file: BinaryIO
    left: int

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise Error(f"{self.path}: refused: it unpacks to far more than it should")
        return data


def _bound(path: Path, member: Member, max_member: int) -> None:
    if member.bytes > max_member:
        raise Error(f"{path}: refused: {member.name!r} unpacks to {member.bytes:,} bytes; allowed: {max_member:,}")


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Say in one sentence what the readers of archives say in many ways."""
    try:
        yield
    except _DAMAGES as error:
        raise Error(f"{path}: damaged or cut short ({error}); delete it and download it again") from None
