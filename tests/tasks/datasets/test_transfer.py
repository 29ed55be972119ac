from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.datasets.transfer import Effort, Fetcher, Want
from tests.tasks.server import Page, Server, sha256

QUICK = Effort(attempts=3, connections=2, wait=0.01, longest_wait=0.05, timeout=5)
BODY = np.random.default_rng(0).bytes(300_000)

Fetch = Callable[..., Path]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Get a.bin, which is BODY unless told otherwise, from URLs, into tmp_path/work."""

    def get(*urls: str, sha: str | None = sha256(BODY), size: int | None = len(BODY)) -> Path:
        with Fetcher("tiny", QUICK) as fetcher:
            return fetcher.get(Want("a.bin", urls, sha, "a test", size), tmp_path / "work").path

    return get


def kept(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "work").rglob("*") if p.is_file())


def test_a_cut_connection_goes_on_from_where_it_was(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, cuts=[100_000, 50_000])}
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert server.ranges("/a.bin") == [None, "bytes=100000-", "bytes=150000-"]


def test_progress_starts_the_count_of_attempts_anew(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, cuts=[30_000] * 9)}
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert len(server.seen) == 10 > QUICK.attempts


def test_a_later_run_goes_on(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages = {"/a.bin": Page(BODY, cuts=[200_000, 0, 0])}
    with pytest.raises(Error, match=r"a.bin could not be had(?s:.)*/a.bin(?s:.)*RemoteProtocolError"):
        fetch(f"{server.url}/a.bin")
    assert "a.bin.part" in kept(tmp_path)
    assert not (tmp_path / "work" / "a.bin").exists()
    server.seen.clear()
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert server.ranges("/a.bin") == ["bytes=200000-"]


def test_a_file_that_changed_on_the_server_starts_anew(server: Server, fetch: Fetch) -> None:
    other = BODY[::-1]
    server.pages = {"/a.bin": Page(BODY, cuts=[100_000, 0, 0])}
    with pytest.raises(Error):
        fetch(f"{server.url}/a.bin", sha=sha256(other))
    server.pages = {"/a.bin": Page(other, etag='"two"')}
    assert fetch(f"{server.url}/a.bin", sha=sha256(other)).read_bytes() == other


def test_a_beginning_of_another_edition_is_noticed_without_an_etag(server: Server, fetch: Fetch) -> None:
    other = BODY[::-1]
    server.pages = {"/a.bin": Page(BODY, etag=None, cuts=[100_000, 0, 0])}
    with pytest.raises(Error):
        fetch(f"{server.url}/a.bin", sha=sha256(other))
    server.pages = {"/a.bin": Page(other, etag=None)}
    server.seen.clear()
    assert fetch(f"{server.url}/a.bin", sha=sha256(other)).read_bytes() == other
    assert server.ranges("/a.bin") == ["bytes=100000-", None]


def test_without_hash_and_etag_nothing_is_continued(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, etag=None, cuts=[100_000])}
    assert fetch(f"{server.url}/a.bin", sha=None, size=None).read_bytes() == BODY
    assert server.ranges("/a.bin") == [None, None]


def test_a_server_that_ignores_range_starts_anew(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, ranges=False, cuts=[100_000])}
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert server.ranges("/a.bin") == [None, "bytes=100000-"]


def test_a_partial_file_that_is_whole_is_taken(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages = {"/a.bin": Page(BODY)}
    part = tmp_path / "work" / "a.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY)
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert server.ranges("/a.bin") == [f"bytes={len(BODY)}-"]


@pytest.mark.parametrize("extra", [1, 70_000])
def test_a_partial_file_that_is_too_long_starts_anew(server: Server, fetch: Fetch, tmp_path: Path, extra: int) -> None:
    server.pages = {"/a.bin": Page(BODY)}
    part = tmp_path / "work" / "a.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY + bytes(extra))
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY


def test_a_busy_server_is_asked_again(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, busy=2)}
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert len(server.seen) == 3


def test_a_server_that_stays_busy_is_given_up(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, busy=99)}
    with pytest.raises(Error, match="503 Service Unavailable"):
        fetch(f"{server.url}/a.bin")
    assert len(server.seen) == QUICK.attempts


def test_what_is_not_there_is_not_asked_again_and_the_next_url_is_taken(server: Server, fetch: Fetch) -> None:
    server.pages = {"/second/a.bin": Page(BODY)}
    assert fetch(f"{server.url}/first/a.bin", f"{server.url}/second/a.bin").read_bytes() == BODY
    assert [path for path, _ in server.seen] == ["/first/a.bin", "/second/a.bin"]


def test_wrong_bytes_at_one_url_and_right_ones_at_the_next(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(b"<html>sign in</html>"), "/b.bin": Page(BODY)}
    assert fetch(f"{server.url}/a.bin", f"{server.url}/b.bin").read_bytes() == BODY


@pytest.mark.parametrize("announce", [True, False])
def test_a_body_larger_than_stated_is_stopped(server: Server, fetch: Fetch, tmp_path: Path, announce: bool) -> None:
    server.pages = {"/a.bin": Page(BODY * 3, announce=announce)}
    with pytest.raises(Error, match="larger than the 300,000 bytes that it may have"):
        fetch(f"{server.url}/a.bin")
    assert not [name for name in kept(tmp_path) if not name.endswith(".json")]


def test_a_body_without_a_length_that_ends_early_is_continued(server: Server, fetch: Fetch) -> None:
    server.pages = {"/a.bin": Page(BODY, announce=False, cuts=[100_000])}
    assert fetch(f"{server.url}/a.bin").read_bytes() == BODY
    assert server.ranges("/a.bin") == [None, "bytes=100000-"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_without_room(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    """/dev/full refuses every byte, with the very error of a full disk."""
    server.pages = {"/a.bin": Page(BODY)}
    (tmp_path / "work").mkdir(parents=True)
    (tmp_path / "work" / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(Error, match=r"the disk is full: .*a\.bin cannot be written; make room"):
        fetch(f"{server.url}/a.bin")
    assert not (tmp_path / "work" / "a.bin").exists()
