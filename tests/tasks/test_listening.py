"""The commands that start Ray, while they run: every socket on which they listen is on loopback."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tasks.profile import Profile
from tests import listening
from tests.conftest import ROOT
from tests.sweeps import with_sweep
from tests.tasks import people

MakeProfile = Callable[..., Profile]


def heard(folder: Path, *arguments: str) -> set[tuple[str, int]]:
    """All that a command listens on until its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found: set[tuple[str, int]] = set()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=folder, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            found |= listening.addresses(psutil.Process(process.pid))
            time.sleep(0.05)
        log.seek(0)
        assert process.returncode == 0, log.read()[-3000:]
    return found


@pytest.mark.slow
def test_a_sweep_listens_on_loopback_alone(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(), trials=3)
    found = heard(profile.folder, "tasks.sweep", "tiny")
    assert len(found) >= 4, "Ray's"
    assert not listening.strangers(found)


@pytest.mark.slow
def test_an_annotation_with_ray_listens_on_loopback_alone(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source = make_profile(), people.write(tmp_path / "in", 50)
    found = heard(profile.folder, "tasks.annotate", str(source), str(tmp_path / "out"), "--workers", "2", "--no-pictures")
    assert len(found) >= 4, "Ray's"
    assert not listening.strangers(found)
