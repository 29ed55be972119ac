"""What docs/promises.md says of its own tests: that they are there, and which of them are slow."""

import ast
import re
from pathlib import Path

from tests.conftest import ROOT

ROWS = [
    line
    for line in (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]
SLOW = re.compile(r"pytest\.mark\.slow")


def held(row: str) -> list[tuple[Path, str]]:
    """The files and names of the tests that hold a row; one that names no file is in that of the one before it."""
    found: list[tuple[Path, str]] = []
    for file, name in re.findall(r"`([\w/.]*)::(\w+)`", row.rpartition(" | ")[2]):
        found.append((ROOT / "tests" / file if file else found[-1][0], name))
    return found


def marked(path: Path, name: str) -> bool | None:
    """Whether a test, or all of its file, is slow; None where there is no such test."""
    tree = ast.parse(path.read_bytes())
    everywhere = any(
        isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node.targets[0]) and SLOW.search(ast.unparse(node.value))
        for node in tree.body
    )
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return everywhere or any(SLOW.search(ast.unparse(decorator)) for decorator in node.decorator_list)
    return None


def test_every_row_is_held_by_tests_that_are_there() -> None:
    assert len(ROWS) > 150
    for row in ROWS:
        names = held(row)
        assert names or "every test in `" in row, row
        for path, name in names:
            assert path.is_file(), row
            assert marked(path, name) is not None, row


def test_rows_say_which_of_their_tests_are_slow() -> None:
    for row in ROWS:
        slow = any(marked(path, name) for path, name in held(row))
        assert slow == ("*slow*" in row), row
