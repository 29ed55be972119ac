"""Which photographs there are, by path and by content, and how one is opened."""

import glob
import hashlib
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image

from tasks.common import files
from tasks.common.errors import Error
from tasks.imaging import images

MAX_BYTES = 1 << 30  # no image of `images.MAX_PIXELS` is larger
AHEAD = 64  # files that are hashed at once, in order
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
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


def listed(source: str, leave_out: str = "") -> list[str]:
    """The files of a folder (with those in it), of a glob, of a list (.txt, a path a line), or a single one: sorted, as absolute paths.

    A folder gives what ends like a picture; a list or a glob all that it names. A folder that holds one named `leave_out`, or below
    one that does, is not searched. Raises Error where there is nothing.
    """
    path = Path(source)
    if path.is_dir():
        found = _of_folder(path, leave_out)
        advice = f"no photographs in it; known endings: {' '.join(sorted(SUFFIXES))}"
    elif path.suffix.lower() == ".txt" and path.is_file():
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        # Paths in a list are seen from the list.
        found = [os.path.abspath(path.parent / line.strip()) for line in lines if line.strip()]
        advice = "the list is empty; it holds a path a line"
    elif path.is_file():
        return [os.path.abspath(path)]
    elif glob.has_magic(source):
        found = [os.path.abspath(p) for p in glob.iglob(source, recursive=True) if os.path.isfile(p)]
        advice = "nothing fits the pattern"
    else:
        raise Error(f"{source}: no such folder, file or list")
    if not found:
        raise Error(f"{source}: {advice}")
    return sorted(set(found))


def _of_folder(folder: Path, leave_out: str) -> list[str]:
    found = []

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise Error(f"{folder}: cannot be read ({error.strerror})") from None
        found.append(os.path.abspath(error.filename))

    for here, inner, names in os.walk(folder, onerror=unreadable):
        if leave_out in inner:
            inner.clear()
            continue
        found += [os.path.abspath(Path(here, name)) for name in names if Path(name).suffix.lower() in SUFFIXES]
    return found


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
            row = before.get(path)
            if row is not None and (row[1], row[2]) == (state.st_size, state.st_mtime_ns):
                return row
            if state.st_size > MAX_BYTES:
                return path, state.st_size, state.st_mtime_ns, "", f"larger than {MAX_BYTES >> 20} MB"
            return path, state.st_size, state.st_mtime_ns, files.sha256(Path(path)), ""
        except OSError as error:
            return path, 0, 0, "", f"{type(error).__name__}: {error.strerror}"

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
        content = Path(path).read_bytes()
    except OSError as error:
        return Photograph(sha256, None, reason=f"{type(error).__name__}: {error.strerror}")
    if hashlib.sha256(content).hexdigest() != sha256:
        return Photograph(sha256, None, reason="it was changed meanwhile; annotate it again")
    return decode(content, sha256, largest)


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
