"""Files that appear whole or not at all.

What is not yet whole has a name that says which process makes it, `.<name>-tmp-<machine>-<process>-<random>`; what a process that was
killed left behind is removed by the next one that writes into the same folder.
"""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tasks.common.errors import Error

# Free bytes of a disk that counts as full.
FULL = 1 << 16
# A number of a process says nothing on another machine, or in another container, that shares the folder.
MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_LEFTOVER = re.compile(rf"\..+-tmp-{MACHINE}-(\d+)-\w+(\.\w+)?")


@contextmanager
def atomic(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix) and rename it onto `path` on success; on failure it is removed.

    A `durable` file is on the disk when the block ends, and survives a power cut. That costs a wait for the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    temporary = _name(path.parent, path.stem, path.suffix)
    # The system applies the user's umask here. Asking for it would mean setting it, for all threads.
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    mode = os.fstat(handle).st_mode & 0o777
    os.close(handle)
    try:
        yield temporary
        # Some libraries put a private file of their own in its place.
        temporary.chmod(mode)
        if durable:
            _flush(temporary)
        os.replace(temporary, path)
        if durable:
            _flush(path.parent)
    except Exception as error:
        # Libraries say it in their own ways, PyTorch with "unexpected pos", which says nothing.
        full = os.strerror(errno.ENOSPC)
        if not isinstance(error, OSError) and (full in str(error) or shutil.disk_usage(path.parent).free < FULL):
            raise OSError(errno.ENOSPC, full, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` and rename it onto `path` on success, replacing what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    building = _name(path.parent, path.name)
    building.mkdir()
    try:
        yield building
        shutil.rmtree(path, ignore_errors=True)
        building.rename(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def private_folder(name: str, parent: Path | None = None) -> Path:
    """A folder of this user's in `parent`, the temporary folder by default, that nobody else can read or write; made if there is none.

    The name is the same each time, so somebody else may have taken it. A folder of this user's that others can read, as earlier
    versions made it, is closed to them. Raises Error where it is no folder, another user's, or one that others could write to.
    """
    path = (parent or Path(tempfile.gettempdir())) / (f"{name}-{os.getuid()}" if hasattr(os, "getuid") else name)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    if hasattr(os, "getuid"):
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise Error(f"{path}: not a folder of yours alone; remove it, or set TMPDIR to another folder")
        if found.st_mode & 0o077:
            path.chmod(0o700)
    return path


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems know no such thing of folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def _name(folder: Path, name: str, suffix: str = "") -> Path:
    # File systems allow 255 bytes, and a character takes four at most.
    name = name[:40]
    return folder / f".{name}-tmp-{MACHINE}-{os.getpid()}-{os.urandom(6).hex()}{suffix}"


# Once a process: a folder may hold many thousand files, each of which is written by `atomic`.
@cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder."""
    for path in list(folder.iterdir()):
        match = _LEFTOVER.fullmatch(path.name)
        if match and not psutil.pid_exists(int(match[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    with atomic(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write `value` as JSON. Raises ValueError for NaN and infinities, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", durable=durable)


def content(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError for anything else, and does not wait for another process as a pipe would."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with os.fdopen(number, "rb") as file:
        return file.read()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
