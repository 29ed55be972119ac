import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks.common import cluster
from tasks.common.errors import Error
from tasks.common.files import MACHINE
from tests.conftest import ROOT

# Imported before it is started, as the steps do.
PROGRAM = """
import ray
import json, os, psutil, subprocess, sys
from tasks.common.cluster import connected

@ray.remote
def work():
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]

before = dict(os.environ)
with connected(None, 80 << 20, 1) as present:
    worker, gpus = ray.get(work.remote())
    us = psutil.Process()
    family = [us, *us.children(recursive=True)]
    assert worker in {p.pid for p in family}
    listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    folders = [c.laddr for p in family for c in p.net_connections("unix") if isinstance(c.laddr, str) and "plasma" in c.laddr]
    gcs = ray.get_runtime_context().gcs_address
    code = f"from ray._raylet import GcsClient; GcsClient(address={gcs!r}).internal_kv_keys(b'', None, timeout=10); print('in')"
    stranger = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")} | {"HOME": "/nonexistent"}
    known, unknown = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
        for environment in (dict(os.environ), stranger)
    )
assert dict(os.environ) == before
print(json.dumps({"listening": listening, "sockets": folders, "present": present, "gpus": gpus, "known": known.stdout,
                  "unknown": unknown.stdout, "said": known.stderr + unknown.stderr}))
"""


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a Ray of ours looked like from the outside, where the temporary folder has a long name."""
    folder = tmp_path_factory.mktemp("a temporary folder of a user with a long name") / ("x" * 60)
    home = tmp_path_factory.mktemp("home")
    folder.mkdir()
    done = start({"TMPDIR": str(folder), "HOME": str(home), "CUDA_VISIBLE_DEVICES": "0"})
    assert done.returncode == 0, done.stderr
    assert not (home / ".ray").exists(), "nothing is written into the user's home"
    return json.loads(done.stdout.splitlines()[-1])


def test_it_listens_on_loopback_alone(started: dict[str, list[str]]) -> None:
    assert len(started["listening"]) >= 4
    assert {address.removeprefix("::ffff:") for address in started["listening"]} == {"127.0.0.1"}


def test_what_asks_for_no_gpu_sees_none(started: dict[str, str]) -> None:
    assert started["gpus"] == ""


def test_who_has_no_token_is_kept_out(started: dict[str, object]) -> None:
    assert started["known"] == "in\n", started["said"]
    assert started["unknown"] == "", started
    assert "authentication" in str(started["said"]).lower()


def test_its_sockets_stand_in_a_short_folder_whatever_the_temporary_folder_is_called(started: dict[str, list[str]]) -> None:
    assert started["sockets"]
    for path in started["sockets"]:
        assert path.startswith("/tmp/darkroom-")
        assert len(path) <= cluster.SOCKET
        assert not Path(path).exists(), "nothing is left"


SMALL_SHARED_MEMORY = """
import ray, shutil
import numpy as np
from tasks.common.cluster import connected

assert shutil.disk_usage("/dev/shm").total == 16 << 20
with connected(None, 80 << 20, 1):
    images = ray.put(np.ones(40 << 20, dtype=np.uint8))
    print(ray.get(ray.remote(lambda given: int(given.sum())).remote(images)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small /dev/shm is for root, on Linux")
def test_a_small_shared_memory_is_enough() -> None:
    """As in a container, which has 64 MB of it unless it is given more."""
    mounted = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=16m tmpfs /dev/shm && exec "$@"', "sh")
    command = [*mounted, sys.executable, "-c", SMALL_SHARED_MEMORY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(40 << 20)]


def test_without_a_short_folder_the_user_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SESSION", 1000)
    with pytest.raises(Error, match="set TMPDIR"), cluster.connected(None, 1):
        pass


@pytest.mark.parametrize("error", [OSError("AF_UNIX path length cannot exceed 107 bytes"), ValueError("num_cpus")])
def test_an_error_that_does_not_pass_is_not_waited_for(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    tries = []

    def init(**_: object) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(Error, match=str(error)):
        cluster._start(tmp_path, {})
    assert len(tries) == 1


def test_a_slow_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    errors = [Exception("The current node timed out during startup."), TimeoutError("no node"), RuntimeError("GCS")]

    def init(**_: object) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr(ray, "init", init)
    cluster._start(tmp_path, {})
    assert not errors


def test_what_killed_processes_left_is_removed_and_what_others_use_is_not(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    dead = next(pid for pid in (int(ended.stdout), 4194303, 4194302) if not psutil.pid_exists(pid))
    names = [f"darkroom-{MACHINE}-{dead}", f"darkroom-{MACHINE}-{os.getppid()}", f"darkroom-01234567-{dead}", "darkroom-notes"]
    for name in names:
        (tmp_path / name).mkdir()
    cluster._sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:]), "another container's processes have other numbers"


def test_a_cluster_without_a_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Error, match="ray get-auth-token --generate"):
        port = server.getsockname()[1]
        with cluster.connected(f"127.0.0.1:{port}", 1):
            pass
