import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.common.errors import Error
from tasks.faces import photographs
from tests.tasks.people import save


def test_a_folder_is_listed_with_those_in_it_but_for_the_output(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.PNG", "out/.state/lock", "out/pictures/d.png", "notes.txt", ".hidden.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = photographs.listed(str(tmp_path), leave_out=".state")
    assert [os.path.relpath(path, tmp_path) for path in found] == [".hidden.webp", "a/c.PNG", "b.jpg"]
    with pytest.raises(Error, match="nothing fits the pattern"):
        photographs.listed(f"{tmp_path}/*.gif")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(Error, match="a path a line"):
        photographs.listed(str(tmp_path / "empty.txt"))


def test_the_index_reads_only_what_changed(tmp_path: Path) -> None:
    paths = [str(save(tmp_path / f"{i}.png", np.full((4, 4, 3), i, np.uint8))) for i in range(3)]
    read = []
    first = photographs.index(paths, on_file=lambda: read.append(1))
    assert len(read) == 3
    assert first["sha256"].nunique() == 3
    known = first.assign(sha256=[f"{i}" * 64 for i in range(3)])
    Path(paths[1]).write_bytes(b"other")
    again = photographs.index([*paths, str(tmp_path / "gone.png")], known)
    assert again["sha256"].tolist()[0::2][:2] == ["0" * 64, "2" * 64]
    assert again["sha256"][1] not in (first["sha256"][1], "1" * 64)
    assert again["reason"][3] == "FileNotFoundError: No such file or directory"


def test_a_name_that_is_not_utf8_has_a_row(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    Image.new("RGB", (4, 4)).save(path)
    row = photographs.index(photographs.listed(str(tmp_path))).iloc[0]
    assert row["reason"] == "its name is not UTF-8; rename it"
    assert row["image_path"].endswith(r"\udcff.png")


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_a_large_photograph_is_reduced_and_keeps_its_size(tmp_path: Path, format_: str) -> None:
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    pixels[:, 1500:] = 255
    Image.fromarray(pixels).save(path := tmp_path / "large", format_)
    seen = photographs.decode(path.read_bytes(), "x", 1000)
    assert seen.pixels is not None
    assert (seen.width, seen.height, seen.pixels.shape) == (3000, 1500, (500, 1000, 3))
    assert seen.pixels[:, :490].max() < 10
    assert seen.pixels[:, 510:].min() > 245


def test_a_file_that_changed_meanwhile_is_not_taken_for_the_one_that_was_listed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    index = photographs.index([str(path)])
    save(path, np.ones((4, 4, 3), np.uint8))
    assert "changed meanwhile" in photographs.read(str(path), index["sha256"][0], 1000).reason
