"""Which folders of tasks/ may import which: what is about faces stands in tasks/faces/, and nothing beneath it knows of it."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# `find` runs a detector and takes what it needs of learning.
EXCEPT = {"tasks/imaging/drawing.py"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize(
    ("folder", "others"),
    [
        ("evaluation", ("tasks.faces",)),
        ("reports", ("tasks.faces",)),
        ("imaging", ("tasks.faces", "tasks.learning")),
        ("faces", ("tasks.reports",)),
    ],
)
def test_a_folder_does_not_import_what_stands_above_it(folder: str, others: tuple[str, ...]) -> None:
    files = [path for path in (ROOT / "tasks" / folder).rglob("*.py") if path.relative_to(ROOT).as_posix() not in EXCEPT]
    assert files
    for path in files:
        assert not [name for name in imported(path) if name.startswith(others)], path
