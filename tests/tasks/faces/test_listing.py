"""Which photographs a folder, a pattern, a list and a single name stand for."""

import os
import unicodedata
from pathlib import Path

import pytest

from tasks.common.errors import Error
from tasks.faces.annotator import picture_name
from tasks.faces.listing import listed


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_is_listed_with_those_in_it_but_for_the_output(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.PNG", "out/.state/lock", "out/pictures/d.png", "notes.txt", ".hidden.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = listed(str(tmp_path), leave_out=".state")
    assert [os.path.relpath(path, tmp_path) for path in found] == [".hidden.webp", "a/c.PNG", "b.jpg"]
    with pytest.raises(Error, match="nothing fits the pattern"):
        listed(f"{tmp_path}/*.gif")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(Error, match="a path a line"):
        listed(str(tmp_path / "empty.txt"))


def test_a_folder_that_was_an_output_is_listed_without_what_was_drawn(tmp_path: Path) -> None:
    drawn = picture_name("b.jpg", "0123456789abcdef" * 4)
    make(tmp_path, "b.jpg", "deep/c.jpg", ".state/lock", ".state/d.png", drawn, "pictures/mine.png", "deep/pictures/e.png")
    found = [os.path.relpath(path, tmp_path) for path in listed(str(tmp_path), leave_out=".state")]
    assert found == ["b.jpg", "deep/c.jpg", "deep/pictures/e.png", "pictures/mine.png"]
    with pytest.raises(Error, match="no such folder"):
        listed("x" * 300)


def test_a_pattern_and_a_single_name_are_listed_whatever_they_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    make(tmp_path, "a.jpg", "-b.jpg")
    assert [Path(path).name for path in listed(f"{tmp_path}/*.jpg")] == ["-b.jpg", "a.jpg", "pipe.jpg"]
    assert listed(str(tmp_path / "pipe.jpg")) == [str(tmp_path / "pipe.jpg")]


NAMES = [
    "plain.jpg",
    "caf\u00e9.jpg",
    "line\u2028separator.jpg",
    "next\u0085line.jpg",
    "space at the end.jpg ",
    " before.jpg",
    "日本.jpg",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_is_read_as_editors_write_it(tmp_path: Path, encoding: str, end: str) -> None:
    make(tmp_path, *NAMES)
    (tmp_path / "list.txt").write_bytes((end.join(["", *NAMES, "  "]) + end).encode(encoding))
    assert listed(str(tmp_path / "list.txt")) == sorted(str(tmp_path / name) for name in NAMES)


def test_a_line_with_spaces_or_other_accents_names_the_file_that_is_there(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "caf\u00e9.jpg")
    make(tmp_path, "a.jpg", decomposed)
    (tmp_path / "list.txt").write_text(" a.jpg\t\ncaf\u00e9.jpg\ngone.jpg \n", encoding="utf-8")
    found = listed(str(tmp_path / "list.txt"))
    assert found == sorted(str(tmp_path / name) for name in ("a.jpg", decomposed, "gone.jpg"))


def test_a_line_that_is_no_utf8_names_its_file(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    make(tmp_path, name)
    (tmp_path / "list.txt").write_bytes(b"\xff.jpg\n")
    assert listed(str(tmp_path / "list.txt")) == [str(tmp_path / name)]
