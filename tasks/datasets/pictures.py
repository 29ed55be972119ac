"""A folder of image files."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets.records import Item, Raw, Settings
from tasks.imaging.suffixes import SUFFIXES


def read(folder: Path, _: Settings) -> Raw:
    """Any folder of image files, with those below it, for image to image: all of them are `train`. Raises Error where there is none."""
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and not path.is_dir())
    paths = {path.relative_to(folder).as_posix(): path for path in found}
    if not paths:
        raise Error(f"{folder}: no images; known endings: {' '.join(sorted(SUFFIXES))}")
    # A link to nowhere is found missing at the end, and listed.
    return Raw(
        {name: Item("train") for name in paths},
        lambda: ((name, path.read_bytes()) for name, path in paths.items() if path.is_file()),
    )
