"""A page that is served for the tests, with a network that was trained on nearly nothing."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tasks import config
from tasks.common import processes
from tasks.profile import Profile
from tasks.train import train
from tests.conftest import ROOT, experiment, write_prepared


def untrained_profile(folder: Path) -> Profile:
    """A profile with the image-to-image experiment `pairs`, whose data are prepared."""
    params = {
        "root": ".",
        "device": "cpu",
        "download": {"photos": {}},
        "preprocess": {"tiny-pairs": {"dataset": "photos", "task": "translate", "size": 16}},
        "experiments": {"pairs": experiment("translate")},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    write_prepared(folder / "data" / "processed" / "tiny-pairs", "translate", {"train": 48, "val": 24, "test": 24})
    return config.load(folder)


@contextmanager
def serving(profile: Profile) -> Iterator[str]:
    """The address of the page, served by its command as long as the block; nothing that it wrote may be left after it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryFile("w+") as log:
        environment = {**os.environ, "TMPDIR": temporary, "OMP_NUM_THREADS": "1"}
        environment.pop("GRADIO_TEMP_DIR", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.demo", "--port", str(port), "--profile", str(profile.folder)],
            cwd=ROOT, env=environment, stdout=log, stderr=log, text=True,
        )  # fmt: skip
        try:
            url, give_up = f"http://127.0.0.1:{port}", time.monotonic() + 120
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > give_up:
                    log.seek(0)
                    pytest.fail(f"the page does not answer:\n{log.read()}")
                time.sleep(0.2)
            yield url
        finally:
            processes.stop(process)
        log.seek(0)
        said = log.read()
        assert process.returncode == 0, said
        assert "Traceback" not in said
        assert [str(path.relative_to(temporary)) for path in Path(temporary).rglob("*")] == []


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    profile = untrained_profile(tmp_path_factory.mktemp("trained"))
    train(profile, "pairs")
    return profile


@pytest.fixture(scope="session")
def address(trained: Profile) -> Iterator[str]:
    with serving(trained) as url:
        yield url


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
