import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks.common import processes
from tasks.common.files import write_json
from tests.conftest import ROOT

STARTER = """
import subprocess, sys, time
from pathlib import Path
from tasks.common.processes import Watched
with Watched(Path(sys.argv[1])) as watched:
    # One that has a child, and one that heeds nothing.
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    started = [subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True),
               subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True, stdout=subprocess.PIPE)]
    for each in started:
        watched.add(each.pid)
    # It heeds nothing once it has said so.
    started[1].stdout.readline()
    print("ready", flush=True)
    time.sleep(float(sys.argv[2]))
    for each in started:
        each.kill()
        each.wait()
"""


def start(path: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTER, str(path), str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_kill_9_leaves_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "processes.json", 600) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 4, "two, a child, and the watcher"
        process.kill()
        _, alive = psutil.wait_procs(family, 40)
        assert not alive
    assert not (tmp_path / "processes.json").exists()


def test_an_end_as_it_should_be_leaves_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "processes.json", 0.1) as process:
        assert process.wait(20) == 0
    assert not (tmp_path / "processes.json").exists()


def test_what_an_earlier_start_left_is_ended_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sleepers = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    born = [psutil.Process(each.pid).create_time() for each in sleepers]
    try:
        # The second one has the number of a process that is gone.
        write_json(tmp_path / "processes.json", [[sleepers[0].pid, born[0]], [sleepers[1].pid, born[1] - 100], [4194303, 1.0]])
        processes.end_listed(tmp_path / "processes.json")
        assert not psutil.pid_exists(sleepers[0].pid)
        assert sleepers[1].poll() is None
        assert f"ending process {sleepers[0].pid} of an earlier start: sleep 60" in capfd.readouterr().out
        assert not (tmp_path / "processes.json").exists()
    finally:
        for each in sleepers:
            each.kill()
            each.wait()
