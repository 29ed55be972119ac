import os
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.faces import photographs
from tasks.faces.listing import listed
from tests.tasks.people import save


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
    row = photographs.index(listed(str(tmp_path))).iloc[0]
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


@pytest.fixture
def strange(tmp_path: Path) -> dict[str, str]:
    """A pipe, a socket, a device and a folder, each called like a photograph, with what they are."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    return {str(tmp_path / f"{what}.jpg"): f"a {what}, not a file" for what in ("pipe", "socket", "device", "folder")}


def in_time(function: Any, *arguments: Any) -> Any:
    """What a function returns, which must not wait for anybody."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)), daemon=True)
    thread.start()
    thread.join(20)
    assert found, "it waits"
    return found[0]


def test_what_is_no_file_has_a_row_and_is_not_waited_for(tmp_path: Path, strange: dict[str, str]) -> None:
    good = str(save(tmp_path / "good.png", np.zeros((4, 4, 3), np.uint8)))
    index = in_time(photographs.index, [*strange, good, "zero\0byte.png"])
    assert dict(zip(index["image_path"][:4], index["reason"])) == strange
    assert (index["sha256"] != "").tolist() == [False] * 4 + [True, False]
    assert "not a file's name" in index["reason"][5]


def test_a_pipe_in_place_of_a_photograph_that_was_listed_is_not_waited_for(strange: dict[str, str]) -> None:
    for path, reason in strange.items():
        assert in_time(photographs.read, path, "0" * 64, 1000).reason in (
            f"OSError: {reason}",
            "OSError: No such device or address",
        )
