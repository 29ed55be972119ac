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
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

# Free bytes of a disk that counts as full.
FULL = 1 << 16
# A number of a process says nothing on another machine, or in another container, that shares the folder.
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_LEFTOVER = re.compile(rf"\..+-tmp-{_MACHINE}-(\d+)-\w+(\.\w+)?")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix) and rename it onto `path` on success; on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path.stem), suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        umask = os.umask(0)
        os.umask(umask)
        yield temporary
        # The user's umask, as any other file has: mkstemp makes private files, and so do some of those who write to its name.
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
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
    building = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path.name)))
    building.chmod(0o755)
    try:
        yield building
        shutil.rmtree(path, ignore_errors=True)
        building.rename(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _prefix(name: str) -> str:
    return f".{name}-tmp-{_MACHINE}-{os.getpid()}-"


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


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON. Raises ValueError for NaN and infinities, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
