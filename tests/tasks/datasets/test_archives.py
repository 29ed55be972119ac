import gzip
import io
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import Error
from tasks.datasets import archives

KINDS = ("tar", "tar.gz", "zip")


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """An archive with these names exactly as they stand, whatever they are."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return path
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def everything(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_reads_lists_and_unpacks(tmp_path: Path, kind: str) -> None:
    files = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)) * 5000, "empty": b""}
    path = pack(tmp_path / f"x.{kind}", files)
    assert archives.members(path) == [archives.Member(name, len(content)) for name, content in files.items()]
    assert dict(archives.read_members(path)) == files
    assert dict(archives.read_members(path, lambda name: name.endswith(".txt"))) == {"a.txt": b"one"}
    assert archives.read_member(path, "a.txt") == b"one"
    with pytest.raises(Error, match=r"x\..*: no b.txt"):
        archives.read_member(path, "b.txt")
    to = archives.extract(path, tmp_path / "out")
    assert {n: (to / n).read_bytes() for n in files} == files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\evil", "..", "a/.."])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = pack(folder / f"x.{kind}", {"good": b"good", name: b"evil"})
    before = everything(tmp_path)
    with pytest.raises(Error, match=r"x\..*refused"):
        archives.extract(path, folder / "out")
    with pytest.raises(Error, match=r"x\..*refused"):
        list(archives.read_members(path))
    with pytest.raises(Error, match=r"x\..*refused"):
        archives.members(path)
    assert everything(tmp_path) == before


@given(name=st.text("ab./\\: \0", min_size=1, max_size=12), kind=st.sampled_from(KINDS))
def test_any_name_lands_inside_or_is_refused(tmp_path_factory: pytest.TempPathFactory, name: str, kind: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = pack(folder / f"x.{kind}", {name: b"content"})
    to = folder / "out"
    with suppress(Error):
        archives.extract(path, to)
    if not to.exists():
        assert everything(folder) == [path.name]
        return
    written = [p for p in folder.rglob("*") if p.is_file() and p != path]
    assert len(written) <= 1
    for one in written:
        assert to in one.parents
        # tarfile ends a name at its first zero byte, and drops a slash at its end.
        assert one.relative_to(to) == Path(PurePosixPath(name.split("\0")[0]))


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path: Path, type_: bytes) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = type_, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(Error, match=r"x.tar: refused: 'link' is no plain file"):
        archives.extract(path, tmp_path / "out")
    assert everything(tmp_path) == ["x.tar"]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Error, match=r"x.zip: refused: 'link' is no plain file"):
        archives.extract(path, tmp_path / "out")
    assert everything(tmp_path) == ["x.zip"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_cut_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    whole = pack(tmp_path / f"x.{kind}", {f"{i}.bin": bytes([i]) * 2000 for i in range(8)}).read_bytes()
    # A tar archive is padded with zeros that nobody misses: it ends with the first block of them, after 8 x (512 + 2048) bytes.
    last = 8 * (512 + 2048) if kind == "tar" else len(whole) - 1
    for length in sorted({*range(0, last, max(1, last // 40)), last - 2048, last - 512, last - 1, last}):
        path = tmp_path / f"cut.{kind}"
        path.write_bytes(whole[: max(0, length)])
        with pytest.raises(Error, match=r"cut\..*(damaged|refused)"):
            archives.extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_unpacks_to_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / f"x.{kind}", {"a": bytes(30_000), "b": bytes(30_000)})
    before = everything(tmp_path)
    with pytest.raises(Error, match=r"x\..*unpacks to more than 50,000 bytes"):
        archives.extract(path, tmp_path / "out", max_bytes=50_000)
    with pytest.raises(Error, match=r"x\..*'a' unpacks to 30,000 bytes; allowed: 20,000"):
        archives.extract(path, tmp_path / "out", max_member=20_000)
    assert everything(tmp_path) == before
    assert len(dict(archives.read_members(path, max_bytes=60_000))) == 2


def test_a_bomb_inside_the_headers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb") as out:
        header = tarfile.TarInfo("long")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 64 << 20
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        out.write(bytes(64 << 20))
    assert path.stat().st_size < 100_000
    with pytest.raises(Error, match=r"x.tar.gz: refused: it unpacks to far more"):
        archives.members(path, max_bytes=1_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_name_twice_is_refused(tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / f"x.{kind}", {"a": b"file", "a/b": b"inside a file"})
    with pytest.raises(Error, match=r"x\..*twice"):
        archives.extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_rubbish_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(Error, match=r"x\..*damaged"):
        archives.members(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    for kind in ("tar.gz", "zip"):
        path = pack(tmp_path / f"x.{kind}", {"a": bytes(range(256)) * 40})
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(Error, match=r"x\..*(damaged|refused)"):
            archives.extract(path, tmp_path / "out")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"x.rar: not an archive that is known here; allowed: .tar"):
        archives.members(tmp_path / "x.rar")
