import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tasks.common.errors import Error
from tasks.common.files import atomic, atomic_folder, content, private_folder, sha256, write_json, write_text
from tests.conftest import ROOT


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    write_text(path, "whole")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "whole"


@pytest.mark.parametrize("name", ["l" * 251 + ".png", "漢" * 83 + ".webp", "f" * 255])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "whole")
    with atomic_folder(tmp_path / "folders" / name) as building:
        (building / "a").touch()
    assert [path.name for path in tmp_path.glob("*/" + "?" * len(name))] == [name]
    assert (tmp_path / name).read_text() == "whole"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_file_has_no_content_and_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "it")
    with pytest.raises(OSError, match="no regular file"):
        content(tmp_path / "it")
    write_text(tmp_path / "file", "whole")
    assert content(tmp_path / "file") == b"whole"


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for text in ("old", "new"):
        with atomic_folder(path) as building:
            (building / text).write_text(text)
            assert not (path / text).exists()
    assert [p.name for p in path.iterdir()] == ["new"]
    with pytest.raises(RuntimeError), atomic_folder(path) as building:
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.common.files import atomic, atomic_folder
with atomic_folder(Path("folder")) as building, atomic(Path("file.txt")) as temporary:
    (building / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    # One that is alive still needs its own, and other hidden files are none of ours.
    mine = tmp_path / left[0].name.replace(left[0].name.split("-")[3], str(os.getppid()))
    others = tmp_path / ".folder-tmp-0123abcd-1-abcdefgh"
    for path in (mine, others, tmp_path / ".gitignore"):
        path.touch()
    write_text(tmp_path / "file.txt", "whole")
    assert {p.name for p in tmp_path.iterdir()} == {"file.txt", ".gitignore", mine.name, others.name}


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is for root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("write", [torch.save, save_file], ids=["torch", "safetensors"])
def test_a_full_disk_is_said_as_such_and_leaves_nothing(small_disk: Path, write: Callable[..., None]) -> None:
    with (
        pytest.raises(OSError, match=r"No space left on device: .*weights\.bin"),
        atomic(small_disk / "weights.bin") as temporary,
    ):
        write({"weights": torch.zeros(100_000)}, temporary)
    assert list(small_disk.iterdir()) == []


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sha256_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_threads_that_write_leave_the_umask_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise AssertionError("the umask belongs to all threads")

    monkeypatch.setattr(os, "umask", refuse)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: write_text(tmp_path / f"{i}", "text"), range(100)))
    assert len(list(tmp_path.iterdir())) == 100


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_and_folders_follow_the_umask_of_the_moment(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_durable_file_is_on_the_disk_before_its_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of what survives a power cut: content, then name, then the folder that holds the name."""
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(handle: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}")
        fsync(handle)

    def record_replace(*paths: Path) -> None:
        events.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_text(tmp_path / "file", "whole", durable=True)
    assert events == ["file of 5", "rename", "folder"]
    events.clear()
    write_text(tmp_path / "file", "whole")
    assert events == ["rename"]


def test_a_private_folder_is_ours_alone(tmp_path: Path) -> None:
    path = private_folder("compiled", tmp_path)
    assert path.stat().st_mode & 0o777 == 0o700
    assert private_folder("compiled", tmp_path) == path
    for mode in (0o777, 0o770, 0o720):
        path.chmod(mode)  # somebody else may have put something into it
        with pytest.raises(Error, match="not a folder of yours alone"):
            private_folder("compiled", tmp_path)
    path.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Error, match="not a folder of yours alone"):
        private_folder("compiled", tmp_path)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_private_folder_that_others_may_read_is_closed_to_them(tmp_path: Path, mode: int) -> None:
    path = private_folder("compiled", tmp_path)
    (path / "kept").touch()
    path.chmod(mode)
    assert private_folder("compiled", tmp_path) == path
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "kept").exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="giving a folder to another user is for root")
def test_a_private_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = private_folder("compiled", tmp_path)
    path.chmod(0o755)
    os.chown(path, 12345, 12345)
    with pytest.raises(Error, match="not a folder of yours alone"):
        private_folder("compiled", tmp_path)
    assert path.stat().st_mode & 0o777 == 0o755, "it is left as it is"
