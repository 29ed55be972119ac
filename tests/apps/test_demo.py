import socket
import subprocess
import sys

import httpx
import pytest

from apps import photographs
from tests import listening
from tests.conftest import ROOT


@pytest.mark.parametrize("program", ["apps.demo", pytest.param("apps.api", marks=pytest.mark.slow)])
def test_a_port_in_use_is_said_before_any_work(program: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-X", "importtime", "-m", program, "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    imported, said = (
        [line for line in done.stderr.splitlines() if line.startswith("import time:") is kind] for kind in (True, False)
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said == [
        f"error: port {port} cannot be used (Address already in use); stop what uses it, or choose another with --port"
    ]
    if program == "apps.demo":
        assert not [line for line in imported if line.endswith((" gradio", " torch"))]


def upload(address: str, content: bytes) -> httpx.Response:
    files = {"files": ("photo.jpg", content, "image/jpeg")}
    return httpx.post(f"{address}/gradio_api/upload", files=files, trust_env=False, timeout=60)


def test_the_server_itself_refuses_what_is_over_the_limit(address: str) -> None:
    assert upload(address, bytes(photographs.MAX_BYTES + 1)).status_code == 413
    assert upload(address, b"small").is_success


def test_the_browser_is_told_to_load_nothing_from_elsewhere(address: str) -> None:
    policy = httpx.get(address, trust_env=False).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy


def test_files_of_the_machine_are_not_served(address: str) -> None:
    for path in ("/etc/passwd", str(ROOT / "params.yaml")):
        assert not httpx.get(f"{address}/gradio_api/file={path}", trust_env=False).is_success


def test_pages_and_names_of_strangers_are_refused(address: str) -> None:
    """A page that the user opens cannot drive this one, nor read from it."""
    port = address.rpartition(":")[2]
    foreign = [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{int(port) ^ 1}"},
        {"Host": "example.org"},
        {"Host": f"example.org:{port}"},
    ]
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for headers in ({}, {"Origin": address}, {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}):
            assert client.get("/config", headers=headers).is_success
            assert client.post("/gradio_api/upload", files={"files": ("a.txt", b"a")}, headers=headers).is_success
        for headers in foreign:
            for method, path in (("GET", "/config"), ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join")):
                assert client.request(method, path, headers=headers).status_code == 403, (headers, path)


def test_it_listens_on_loopback_alone(address: str) -> None:
    found = listening.addresses()
    assert ("127.0.0.1", int(address.rpartition(":")[2])) in found
    assert not listening.strangers(found)
