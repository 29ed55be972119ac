"""The API as its command serves it, asked by several users at once."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from apps import api
from apps.api import Results, application
from tasks import config
from tasks.common import processes
from tasks.faces.annotations import EMOTIONS
from tests import listening
from tests.apps.conftest import untrained_profile
from tests.conftest import ROOT
from tests.tasks import people


def photograph(width: int = 200, height: int = 200, format_: str = "PNG") -> bytes:
    """A portrait in the upper left of a wall of its own size."""
    pixels = np.full((max(height, 200), max(width, 200), 3), 120, np.uint8)
    pixels[:200, :200] = people.portrait()
    out = io.BytesIO()
    Image.fromarray(pixels[:height, :width]).save(out, format_)
    return out.getvalue()


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> config.Profile:
    return untrained_profile(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def address(profile: config.Profile) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "apps.api", "--port", str(port), "--profile", str(profile.folder)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True)
    try:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{url}/bbox/none", trust_env=False)
                break
            except httpx.HTTPError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
        yield url
    finally:
        processes.stop(process)


@pytest.fixture
def client(profile: config.Profile) -> Iterator[TestClient]:
    with TestClient(application(profile), base_url=f"http://{api.HOST}") as client:
        yield client


def test_a_photograph_is_answered_with_boxes_and_a_picture(address: str) -> None:
    with httpx.Client(base_url=address, timeout=120, trust_env=False) as user:
        for answer in (
            user.post("/", content=photograph(300, 220), headers={"content-type": "image/png"}),
            user.post("/", files={"file": ("a.png", photograph(300, 220), "image/png")}),
        ):
            assert answer.status_code == 201
            said = answer.json()
            assert said["faces"] >= 1
            assert len(said["name"]) >= 32
            boxes = user.get(said["bbox"]).json()
            assert (boxes["width"], boxes["height"]) == (300, 220)
            assert len(boxes["faces"]) == said["faces"]
            face = boxes["faces"][0]
            assert 40 < (face["x1"] + face["x2"]) / 2 < 150
            assert sum(face[name] for name in EMOTIONS) == pytest.approx(1, abs=1e-3)
            picture = user.get(said["image"])
            assert picture.headers["content-type"] == "image/png"
            assert picture.headers["cache-control"] == "no-store"
            assert Image.open(io.BytesIO(picture.content)).size == (300, 220)


def test_the_answers_of_users_at_once_do_not_mix_and_the_server_stays_awake(address: str) -> None:
    """Each user's photographs have a size of their own, by which answers are told apart."""
    slowest = 0.0
    done = threading.Event()

    def user(number: int) -> None:
        with httpx.Client(base_url=address, timeout=240, trust_env=False) as session:
            for turn in range(2):
                width, height = 200 + 8 * number, 200 + 8 * turn
                while (answer := session.post("/", content=photograph(width, height))).status_code == 503:
                    time.sleep(float(answer.headers["retry-after"]) / 20)
                said = answer.json()
                boxes = session.get(said["bbox"]).json()
                assert (boxes["width"], boxes["height"]) == (width, height)
                assert Image.open(io.BytesIO(session.get(said["image"]).content)).size == (width, height)

    def watch() -> None:
        nonlocal slowest
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as session:
            while not done.is_set():
                start = time.monotonic()
                assert session.get("/bbox/none").status_code == 404
                slowest = max(slowest, time.monotonic() - start)
                time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        for result in [pool.submit(user, number) for number in range(8)]:
            result.result()
    done.set()
    watcher.join()
    # A photograph takes the network far longer than this.
    assert slowest < 5


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"", "image/png", 400, "no photograph"),
        (b"Dear diary", "image/jpeg", 422, "no picture in a format"),
        (photograph()[:3000], "image/png", 422, "truncated"),
        (b"{}", "application/json", 415, "application/json"),
        (b"--x--", "multipart/form-data", 400, "not a form"),
        (b"0" * (api.MAX_BYTES + 1), "image/png", 413, "MiB"),
    ],
)  # fmt: skip
def test_what_is_no_photograph_gets_the_right_status(
    client: TestClient, content: bytes, kind: str, status: int, words: str
) -> None:
    answer = client.post("/", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_bombs_names_and_methods(client: TestClient) -> None:
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    assert client.post("/", content=bomb.getvalue()).status_code == 422
    for path in ("/image/none", "/bbox/none", "/image/..%2f..%2fetc%2fpasswd"):
        assert client.get(path).status_code == 404
    assert client.get("/").status_code == 405
    for host in ("evil.example", "testserver"):
        refused = client.post("/", content=b"x", headers={"host": host})
        assert (refused.status_code, refused.text) == (400, "Invalid host header")


def test_pages_of_strangers_are_refused(client: TestClient) -> None:
    own = {"Origin": f"http://{api.HOST}"}
    assert client.get("/bbox/none", headers=own).status_code == 404
    for origin in ("https://example.org", "null", f"http://{api.HOST}:8888"):
        answer = client.post("/", content=photograph(), headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_it_listens_on_loopback_alone(address: str) -> None:
    found = listening.addresses()
    assert ("127.0.0.1", int(address.rpartition(":")[2])) in found
    assert not listening.strangers(found)


def test_a_queue_that_is_full_says_so(profile: config.Profile) -> None:
    with TestClient(application(profile, waiting=0), base_url=f"http://{api.HOST}") as client:
        answer = client.post("/", content=photograph())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_results_expire_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(api.time, "monotonic", lambda: now)
    results = Results(keep=10, most=3, most_bytes=100)
    names = [results.add(b"x" * 10, [], 1, 1) for _ in range(5)]
    assert [results.get(name) is not None for name in names] == [False, False, True, True, True]
    assert results.bytes == 30
    large = results.add(b"x" * 95, [], 1, 1)
    assert [results.get(name) is not None for name in (*names, large)] == [False] * 5 + [True]
    now += 11
    assert results.get(large) is None
    assert results.bytes == 0
    assert len({results.add(b"", [], 1, 1) for _ in range(3)}) == 3


@pytest.mark.parametrize("orientation", [6, 8])
def test_the_frame_of_boxes_is_the_one_that_is_seen_in_every_format(client: TestClient, orientation: int) -> None:
    """Of photographs that are stored lying on their sides. The page asks the same `Reader`."""
    upright = people.portrait()[:, 10:170]
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1 if orientation == 6 else -1)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = []
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        stored.save(out := io.BytesIO(), kind, exif=exif, **options)
        said = client.post("/", content=out.getvalue()).json()
        boxes = client.get(said["bbox"]).json()
        assert (boxes["width"], boxes["height"]) == (160, 200)
        assert Image.open(io.BytesIO(client.get(said["image"]).content)).size == (160, 200)
        found.append(boxes["faces"])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1
