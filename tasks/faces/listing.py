"""Which photographs are meant: those of a folder, a pattern, a list, or a single one."""

import codecs
import glob
import os
import re
import unicodedata
from pathlib import Path

from tasks.common.errors import Error
from tasks.faces.annotator import DRAWN, PICTURES
from tasks.imaging.suffixes import SUFFIXES


def listed(source: str, leave_out: str = "") -> list[str]:
    """The files of a folder (with those in it), of a glob, of a list (.txt, a path a line), or a single one: sorted, as absolute paths.

    A folder gives what ends like a picture; a list or a glob all that it names, folders that a glob fits excepted. What an annotator made
    in a folder is left out: of the folder `source` itself its drawings, and of those in it all that holds one named `leave_out`.
    Raises Error where there is nothing.
    """
    path = Path(source)
    if os.path.isdir(path):
        found = _of_folder(path, leave_out)
        advice = f"no photographs in it; known endings: {' '.join(sorted(SUFFIXES))}"
    elif path.suffix.lower() == ".txt" and os.path.isfile(path):
        found = _of_list(path)
        advice = "the list is empty; it holds a path a line"
    elif os.path.lexists(path):
        return [os.path.abspath(path)]
    elif glob.has_magic(source):
        found = [os.path.abspath(p) for p in glob.iglob(source, recursive=True) if not os.path.isdir(p)]
        advice = "nothing fits the pattern"
    else:
        raise Error(f"{source}: no such folder, file or list")
    if not found:
        raise Error(f"{source}: {advice}")
    return sorted(set(found))


def _of_folder(folder: Path, leave_out: str) -> list[str]:
    found: list[str] = []
    drawings: Path | None = None

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise Error(f"{folder}: cannot be read ({error.strerror})") from None
        found.append(os.path.abspath(error.filename))

    for here, inner, names in os.walk(folder, onerror=unreadable):
        at, was_output = Path(here), leave_out in inner
        if was_output:
            if at != folder:
                inner.clear()
                continue
            inner.remove(leave_out)
            drawings = folder / PICTURES
        found += [
            os.path.abspath(at / name)
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not (at == drawings and DRAWN.search(name))
        ]
    return found


def _of_list(path: Path) -> list[str]:
    """The paths of a list's lines, which are seen from the list."""
    lines = re.split(r"\r\n|\n|\r", _text(path.read_bytes()))
    return [_named(path.parent, line) for line in lines if line.strip() or (line and os.path.lexists(path.parent / line))]


def _text(content: bytes) -> str:
    """The text of a list in UTF-8, or in UTF-16, which Windows writes. What is no UTF-8 is kept as `os.fsdecode` keeps it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        # No name has a zero byte: without a mark, the zeros of its Latin letters say which of the two it is.
        little = content[1::2].count(0) >= content[::2].count(0)
        return content.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _named(folder: Path, line: str) -> str:
    """The file that a line names: as it stands there, without spaces at its ends, or with its accents in the other Unicode form."""
    short = line.strip()
    forms = [line, short, *(unicodedata.normalize(form, short) for form in ("NFC", "NFD"))]
    paths = [os.path.abspath(folder / form) for form in forms if "\0" not in form]
    return next((path for path in paths if os.path.lexists(path)), os.path.abspath(folder / short))
