"""The real DVC, on a project whose stages take no time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.common import stages
from tasks.common.errors import Error
from tests.flows.conftest import write_project

HOLD = """
import sys, zc.lockfile
lock = zc.lockfile.LockFile(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def run(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Each stage's outcome and what it printed, in DVC's order."""
    found: dict[str, tuple[str, list[str]]] = {}
    with stages.Reproduction(folder) as dvc:
        for name in dvc:
            said: list[str] = []
            found[name] = dvc.follow(name, said.append).outcome, said
    return found


def test_one_process_is_cut_into_its_stages(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    first = run(folder)
    assert [(name, outcome) for name, (outcome, _) in first.items()] == [
        ("download@a", "ran"),
        ("second", "ran"),
        ("report", "ran"),
    ]
    assert "second stage" in first["second"][1]
    assert not any("second stage" in line for name in ("download@a", "report") for line in first[name][1])

    (folder / "results" / "table.csv").unlink()
    (folder / "data" / "a.csv").write_text("x,y\n1,2\n")
    assert {name: outcome for name, (outcome, _) in run(folder).items()} == {
        "download@a": "unchanged",
        "second": "unchanged",
        "report": "cached",
    }


def test_a_profile_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """As full/ is: its dvc.yaml is a link to the one above."""
    folder = write_project(tmp_path / "project")
    for part in ("full", "full/data", "full/results"):
        (folder / part).mkdir()
    (folder / "full" / "dvc.yaml").symlink_to("../dvc.yaml")
    (folder / "full" / "params.yaml").write_bytes((folder / "params.yaml").read_bytes())
    assert {name: outcome for name, (outcome, _) in run(folder / "full").items()} == dict.fromkeys(
        ("download@a", "second", "report"), "ran"
    )


def test_a_stage_that_cannot_begin_is_named(tmp_path: Path) -> None:
    folder = write_project(
        tmp_path / "project", second={"cmd": "true", "deps": ["data/none.csv"], "outs": ["results/second.csv"]}
    )
    with pytest.raises(Error, match=r"^stage second failed:\n(.*\n)*.*data/none\.csv"):
        run(folder)


def test_dvc_s_lock_is_named_with_who_holds_it(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    lock = folder / ".dvc" / "tmp" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        message = rf"^another DVC process works in this project \(process {process.pid}: .*\); wait for its end, or stop it$"
        with pytest.raises(stages.Busy, match=message):
            run(folder)
        process.kill()
    assert run(folder)


def test_a_stage_that_another_process_runs_is_named_with_it(tmp_path: Path) -> None:
    slow = {"cmd": "touch data/begun && sleep 60", "deps": ["data/a.csv"], "outs": ["results/second.csv"]}
    folder = write_project(tmp_path / "project", second=slow)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            end = time.monotonic() + 60
            while not (folder / "data" / "begun").exists():
                assert time.monotonic() < end
                time.sleep(0.1)
            with pytest.raises(stages.Busy, match=rf"works in this project \(process {process.pid}: .*dvc.* repro\)"):
                run(folder)
        finally:
            os.killpg(process.pid, 9)


def test_the_end_of_the_block_ends_the_stage(tmp_path: Path) -> None:
    folder = write_project(
        tmp_path / "project", second={"cmd": "echo $$ > pid; sleep 60", "deps": ["data/a.csv"], "outs": ["results/second.csv"]}
    )
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), stages.Reproduction(folder) as dvc:
        for name in dvc:
            if name == "second":
                raise KeyboardInterrupt
            dvc.follow(name, print)
    assert time.monotonic() - start < 40
    assert not (folder / "results" / "second.csv").exists()
