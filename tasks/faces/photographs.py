"""The content of photographs: an index of it by path, and how one is opened."""

import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader

import numpy as np
import pandas as pd
import PIL.Image

from tasks.imaging import images

MAX_BYTES = 1 << 30  # no image of `images.MAX_PIXELS` is larger
AHEAD = 64  # files that are hashed at once, in order
COLUMNS = ["image_path", "bytes", "modified", "sha256", "reason"]


@dataclass(frozen=True)
class Photograph:
    """Pixels, uint8 (H, W, 3), the way up that a viewer shows them, and the size of the original; or the reason why there are none.

    Photographs that are larger than asked for are reduced: `width` and `height` stay the original's.
    """

    sha256: str
    pixels: np.ndarray | None
    width: int = 0
    height: int = 0
    reason: str = ""


def index(paths: list[str], known: pd.DataFrame | None = None, on_file: Callable[[], None] = lambda: None) -> pd.DataFrame:
    """A row a path: image_path, bytes, modified (ns), sha256 of the content, and the reason where it could not be read.

    `known`: an earlier index; a file of the same path, size and time of change is not read again.
    """
    before = {} if known is None else {row[0]: row for row in known[known["sha256"] != ""].itertuples(index=False, name=None)}

    def one(path: str) -> tuple[str, int, int, str, str]:
        try:
            path.encode()
        except UnicodeEncodeError:
            # Neither Parquet nor HTML can hold it.
            return path.encode(errors="backslashreplace").decode(), 0, 0, "", "its name is not UTF-8; rename it"
        try:
            state = os.stat(path)
            if reason := _no_file(state):
                return path, 0, 0, "", reason
            row = before.get(path)
            if row is not None and (row[1], row[2]) == (state.st_size, state.st_mtime_ns):
                return row
            if state.st_size > MAX_BYTES:
                return path, state.st_size, state.st_mtime_ns, "", f"larger than {MAX_BYTES >> 20} MB"
            with _open(path) as file:
                return path, state.st_size, state.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest(), ""
        except OSError as error:
            return path, 0, 0, "", f"{type(error).__name__}: {error.strerror}"
        except ValueError as error:
            # A zero byte in a list's line.
            return path, 0, 0, "", f"not a file's name: {error}"

    rows = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AHEAD):
            for row in pool.map(one, paths[start : start + AHEAD]):
                rows.append(row)
                on_file()
    return pd.DataFrame(rows, columns=COLUMNS)


def read(path: str, sha256: str, largest: int) -> Photograph:
    """Open a photograph whose content has the hash `sha256`; what is wrong with it is its `reason`."""
    try:
        with _open(path) as file:
            content = file.read()
    except OSError as error:
        return Photograph(sha256, None, reason=f"{type(error).__name__}: {error.strerror}")
    if hashlib.sha256(content).hexdigest() != sha256:
        return Photograph(sha256, None, reason="it was changed meanwhile; annotate it again")
    return decode(content, sha256, largest)


def _no_file(state: os.stat_result) -> str:
    """Why this is nothing that has content to read to its end; empty for a regular file."""
    if stat.S_ISREG(state.st_mode):
        return ""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return f"{kinds.get(stat.S_IFMT(state.st_mode), 'something else')}, not a file"


def _open(path: str) -> BufferedReader:
    """A file for reading. Raises OSError for what is no regular file, and does not wait for another process as a pipe would."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if reason := _no_file(os.fstat(number)):
        os.close(number)
        raise OSError(0, reason)
    return os.fdopen(number, "rb")


def decode(content: bytes, sha256: str, largest: int) -> Photograph:
    """A photograph of a file's bytes, its long side at most `largest` pixels."""
    try:
        with warnings.catch_warnings():
            # On damaged metadata, which do not touch the pixels.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            decoded = images.decode(content, at_least=largest, fit=True)
    except images.Undecodable as error:
        return Photograph(sha256, None, reason=str(error))
    pixels, (width, height) = decoded.pixels, decoded.original
    if not pixels.size:
        return Photograph(sha256, None, reason="it has no pixels")
    long = max(pixels.shape[:2])
    if long > largest:
        pixels = images.resize(
            pixels, max(1, round(pixels.shape[1] * largest / long)), max(1, round(pixels.shape[0] * largest / long))
        )
    return Photograph(sha256, pixels, width, height)
