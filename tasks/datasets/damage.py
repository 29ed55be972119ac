"""How a file that cannot be read is reported."""

from pathlib import Path

from tasks.common.errors import Error


def damaged(path: Path, error: Exception) -> Error:
    """The Error for a file that is damaged or cut short."""
    return Error(f"{path}: cannot be read ({error}); delete it and download again")
