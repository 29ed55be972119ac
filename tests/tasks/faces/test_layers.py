"""Which folders of tasks/ may import which: what is about faces stands in tasks/faces/, and nothing beneath it knows of it."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# These stand beneath all: declarations, published weights, and images on their way into a network and out of it.
BENEATH: dict[str, tuple[str, ...]] = {
    "tasks.faces.metrics": ("tasks.kinds",),
    "tasks.faces.centerface": ("tasks.common", "tasks.imaging"),
    "tasks.learning.tensors": (),
}


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
        ("kinds", ("tasks.faces", "tasks.reports")),
        ("learning", ("tasks.faces", "tasks.reports")),
        ("reports", ("tasks.faces",)),
        ("imaging", ("tasks.faces", "tasks.learning", "tasks.kinds")),
        ("faces", ("tasks.reports",)),
    ],
)
def test_a_folder_does_not_import_what_stands_above_it(folder: str, others: tuple[str, ...]) -> None:
    files = [*(ROOT / "tasks" / folder).rglob("*.py")]
    assert files
    for path in files:
        above = [name for name in imported(path) if name.startswith(others) and not name.startswith(tuple(BENEATH))]
        assert not above, path


@pytest.mark.parametrize(("module", "allowed"), BENEATH.items())
def test_what_stands_beneath_imports_nothing_else_of_ours(module: str, allowed: tuple[str, ...]) -> None:
    names = imported(ROOT / f"{module.replace('.', '/')}.py")
    assert not [name for name in names if name.startswith(("tasks", "models")) and not name.startswith(allowed)]
