from collections.abc import Iterator

import pytest

from tests.tasks.server import Server, serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback, which no proxy stands before."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as served:
        yield served
