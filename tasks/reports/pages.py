"""The report's pages: their templates stand beside this file, and those of its faces' section in tasks/faces/."""

from pathlib import Path
from typing import Any

from tasks.common import pages

HERE = Path(__file__).parent
FOLDERS = (HERE, HERE.parent / "faces")


def render(template: str, **values: Any) -> str:
    """The page of a template, as `tasks.common.pages.render`."""
    return pages.render(template, FOLDERS, **values)
