"""The raw data sets, in their publishers' layouts, as `Raw` records: `tasks.datasets.sets` has a reader each."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import pictures, sets
from tasks.datasets.records import Raw, Settings


def read(folder: Path, block: Settings) -> Raw:
    """Read the raw folder of `block.dataset`: by its own reader, or as a folder of pictures where it has none.

    Raises Error for files that are missing, damaged or of another layout.
    """
    known = block.dataset in sets.names()
    reader = getattr(sets.find(block.dataset), "read", pictures.read) if known else pictures.read
    try:
        return reader(folder, block)
    except FileNotFoundError as error:
        raise Error(f"{error.filename}: no such file; run: dvc repro download@{block.dataset}") from None
