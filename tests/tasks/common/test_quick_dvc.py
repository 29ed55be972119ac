"""The lock file that is written a stage at a time, and parameters that are parsed once, held against DVC's own."""

import os
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc import rwlock
from dvc.dependency.param import read_param_file
from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml, parse_yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.common import quick_dvc
from tests.conftest import ROOT

DVC = {"DVC's own": [sys.executable, "-m", "dvc"], "ours": [str(ROOT / "bin" / "dvc")]}
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable, max_size=100),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(string.ascii_letters + string.digits + "@-_", min_size=1, max_size=20)


@given(
    st.dictionaries(
        NAMES, st.fixed_dictionaries({"cmd": st.text(string.printable, max_size=120), "params": VALUES}), min_size=1, max_size=4
    )
)
def test_a_lock_file_is_split_into_what_its_stages_are_written_as(stages: dict[str, Any]) -> None:
    text = dumps_yaml({"schema": "2.0", "stages": stages})
    split = quick_dvc.split(text)
    if split is None:  # which DVC then does its own way
        return
    assert quick_dvc.HEAD + "".join(split.values()) == text
    assert [quick_dvc.written({name: contents}) for name, contents in stages.items()] == [dict([item]) for item in split.items()]


def test_the_sample_s_lock_file_is_split() -> None:
    text = (ROOT / "dvc.lock").read_text(encoding="utf-8")
    split = quick_dvc.split(text)
    assert split is not None
    assert split.keys() == {f"{name}:" for name in parse_yaml(text, "dvc.lock")["stages"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stages:\n",
        "schema: '2.0'\nstages: {}\n",
        "schema: '2.0'\nstages:\n  a:\n    deps: &id001\n    - x\n  # by hand\n  b:\n    deps: *id001\n",
        "schema: '2.0'\nstages:\n  a:\n    deps: *id001\n",
        "schema: '2.0'\nstages:\n  # by hand\n  a:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b\n  a:\n    cmd: c\n",
        "schema: '2.0'\nstages:\n<<<<<<< ours\n  a:\n    cmd: b\n",
    ],
)
def test_what_dvc_did_not_lay_out_is_left_to_dvc(text: str) -> None:
    assert quick_dvc.split(text) is None


def test_a_value_that_stands_twice_is_written_twice() -> None:
    """DVC's writer names a value that is one object in two places, and counts its names anew in each file."""
    shared = {"width": [8, 16]}
    stages = {name: {"cmd": name, "params": {"params.yaml": {"one": shared, "other": shared}}} for name in ("a", "b")}
    text = dumps_yaml({"schema": "2.0", "stages": stages})
    assert "&id001" in text
    split = quick_dvc.split(text)
    assert split == quick_dvc.written(stages)
    assert parse_yaml(quick_dvc.HEAD + "".join(split.values()), "dvc.lock")["stages"] == stages
    assert "id001" not in "".join(split.values())


def _project(folder: Path, commands: dict[str, str]) -> Path:
    """A project with a stage a command, each of which depends on the one before, and has parameters that YAML folds."""
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    Repo.init(str(folder)).close()
    stages: dict[str, Any] = {}
    for name, command in commands.items():
        before = {"deps": [f"{[*stages][-1]}.txt"]} if stages else {}
        stages[name] = {"cmd": f"{command} > {name}.txt", "params": ["words"], "outs": [f"{name}.txt"], **before}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"words": {"text": "a long sentence, " * 12, "no": "off", "number": "1e3"}})
    )
    return folder


def _repro(folder: Path, command: list[str], *arguments: str) -> bytes:
    environment = os.environ | {"DARKROOM_PYTHON": sys.executable}
    done = subprocess.run(
        [*command, "repro", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return (folder / "dvc.lock").read_bytes()


def test_the_file_has_the_bytes_that_dvc_writes(tmp_path: Path) -> None:
    locks = {}
    for name, command in DVC.items():
        folder = _project(tmp_path / name, {"first": "echo 1", "second": "echo 2", "third": "echo 3"})
        locks[name] = [_repro(folder, command)]
        changed = (folder / "dvc.yaml").read_text().replace("echo 2", "echo two").replace("echo 1 ", "echo  1 ")
        (folder / "dvc.yaml").write_text(changed)
        locks[name].append(_repro(folder, command))
    assert locks["ours"] == locks["DVC's own"]
    assert b"echo two" in locks["ours"][1]


def test_a_stage_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = _project(tmp_path / "project", {"first": "echo 1", "second": "false"})
    environment = os.environ | {"DARKROOM_PYTHON": sys.executable}
    done = subprocess.run([*DVC["ours"], "repro"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "failed to reproduce 'second'" in done.stderr
    assert [*parse_yaml((folder / "dvc.lock").read_text(), "dvc.lock")["stages"]] == ["first"]


@pytest.mark.parametrize("target", ["dvc.yaml", "other/dvc.yaml"])
def test_of_several_profiles_the_one_that_is_asked_for_is_read(tmp_path: Path, target: str) -> None:
    """The other one's lock file is damaged, over which DVC's own stumbles."""
    folder = _project(tmp_path / "project", {"first": "echo 1", "second": "echo 2"})
    (folder / "other").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (folder / "other" / name).write_text((folder / name).read_text())
    unread = folder / ("other" if target == "dvc.yaml" else ".") / "dvc.lock"
    unread.write_text("schema: '2.0'\nstages:\n<<<<<<< ours\n")
    environment = os.environ | {"DARKROOM_PYTHON": sys.executable}
    runs = [
        subprocess.run([*command, "repro", target], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        for command in (DVC["DVC's own"], DVC["ours"], DVC["ours"])
    ]
    assert runs[0].returncode != 0
    assert "dvc.lock' is invalid" in runs[0].stderr
    assert [run.returncode for run in runs[1:]] == [0, 0], runs[1].stderr
    assert "Running stage" in runs[1].stdout
    assert "Data and pipelines are up to date." in runs[2].stdout
    stages = parse_yaml((folder / target).with_name("dvc.lock").read_text(), "dvc.lock")["stages"]
    assert [*stages] == ["first", "second"]


def test_what_a_stage_holds_is_written_down_once_and_is_out_of_reach_of_others(tmp_path: Path) -> None:
    fs, written = LocalFileSystem(), tmp_path / rwlock.RWLOCK_FILE

    def hold(read: list[str], write: list[str]) -> AbstractContextManager[None]:
        return quick_dvc.hold(
            str(tmp_path), fs, "us", [str(tmp_path / name) for name in read], [str(tmp_path / name) for name in write], False
        )

    with hold(["in"], ["out"]):
        before = written.stat().st_mtime_ns, written.read_bytes()
        for read, write in ((["in"], []), (["in", "out"], []), (["in"], ["out"]), ([], [])):
            with hold(read, write):
                assert (written.stat().st_mtime_ns, written.read_bytes()) == before
        with hold([], ["more"]):
            assert b"more" in written.read_bytes()

        def beside() -> bytes:
            with hold(["theirs"], []), hold(["theirs"], []):
                return written.read_bytes()

        # Another thread's stage writes down what it holds itself.
        with ThreadPoolExecutor() as pool:
            assert b"theirs" in pool.submit(beside).result()
        assert b"theirs" not in written.read_bytes()
        code = f"from tasks.common import quick_dvc; from dvc.fs import LocalFileSystem\nwith quick_dvc.hold({str(tmp_path)!r}, LocalFileSystem(), 'them', [{str(tmp_path / 'out')!r}], [], False): pass"
        stranger = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert "LockError" in stranger.stderr
    assert str(tmp_path / "out").encode() not in written.read_bytes()


TWO = {"DARKROOM_PYTHON": sys.executable, "DARKROOM_JOBS": "2"}
# Ends when the other's file is there too.
MEETS = "touch {0} && for i in $(seq 300); do test -e {1} && break; sleep 0.1; done && test -e {1} && echo met > {0}.txt"


@contextmanager
def _beside(folder: Path, stages: dict[str, dict[str, Any]]) -> "Iterator[subprocess.Popen[str]]":
    """A `dvc repro` of two stages at once, in a session of its own, of which nothing is left afterwards."""
    folder.mkdir(parents=True)
    Repo.init(str(folder), no_scm=True).close()
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    with subprocess.Popen(
        [*DVC["ours"], "repro"], cwd=folder, env=os.environ | TWO,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_stages_run_beside_each_other_and_after_those_that_they_depend_on(tmp_path: Path) -> None:
    stages = {
        "one": {"cmd": MEETS.format("one", "two"), "outs": ["one.txt"]},
        "two": {"cmd": f"echo said by two; {MEETS.format('two', 'one')}", "outs": ["two.txt"]},
        "both": {"cmd": "cat one.txt two.txt > both.txt", "deps": ["one.txt", "two.txt"], "outs": ["both.txt"]},
    }
    with _beside(tmp_path / "project", stages) as process:
        out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert (tmp_path / "project" / "both.txt").read_text() == "met\nmet\n"
    lines = out.splitlines()
    assert "two | said by two" in lines
    assert [line.split(" took ")[0] for line in lines if " took " in line][-1] == "both"
    again = [*DVC["ours"], "repro"]
    done = subprocess.run(again, cwd=tmp_path / "project", env=os.environ | TWO, capture_output=True, text=True, check=True)
    assert "Data and pipelines are up to date." in done.stdout
    recorded = parse_yaml((tmp_path / "project" / "dvc.lock").read_text(), "dvc.lock")["stages"]
    assert {*recorded} == {*stages}


def test_where_a_stage_fails_the_other_one_ends_and_none_begins(tmp_path: Path) -> None:
    stages = {
        "fails": {"cmd": "for i in $(seq 300); do test -e begun && break; sleep 0.1; done; exit 3", "outs": ["fails.txt"]},
        "ends": {"cmd": "touch begun && sleep 1 && echo 1 > ends.txt", "outs": ["ends.txt"]},
        "next": {"cmd": "echo 2 > next.txt", "outs": ["next.txt"]},
    }
    with _beside(tmp_path / "project", stages) as process:
        _, error = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "failed to reproduce 'fails'" in error
    assert [*parse_yaml((tmp_path / "project" / "dvc.lock").read_text(), "dvc.lock")["stages"]] == ["ends"]


def _interrupted(folder: Path, stages: dict[str, dict[str, Any]], begun: str) -> tuple[int, str]:
    """The exit status and the errors of a `dvc repro` that is interrupted once these files, one for each stage named, are there."""
    with _beside(folder, stages) as process:
        while not all((folder / name).exists() for name in begun.split()):
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
        return process.returncode, error


def test_ctrl_c_ends_the_stages_that_run(tmp_path: Path) -> None:
    # `: >` makes the file without a child, whose good end would let the shell outlive the signal.
    sleeps = {
        name: {"cmd": f": > {name} && sleep 300 && echo 1 > {name}.txt", "outs": [f"{name}.txt"]} for name in ("one", "two")
    }
    status, error = _interrupted(tmp_path / "project", sleeps, "one two")
    assert status != 0
    assert "failed to reproduce" in error


def test_after_ctrl_c_no_stage_begins_though_one_that_ran_has_ended_well(tmp_path: Path) -> None:
    stages = {
        "one": {"cmd": "trap '' INT; : > one; sleep 2; echo 1 > one.txt", "outs": ["one.txt"]},
        "two": {"cmd": "trap '' INT; : > two; sleep 2; echo 2 > two.txt", "outs": ["two.txt"]},
        "next": {"cmd": "echo 3 > next.txt", "deps": ["one.txt"], "outs": ["next.txt"]},
    }
    status, error = _interrupted(tmp_path / "project", stages, "one two")
    assert status != 0
    assert "interrupted by the user" in error
    assert not (tmp_path / "project" / "next.txt").exists()
    assert {*parse_yaml((tmp_path / "project" / "dvc.lock").read_text(), "dvc.lock")["stages"]} == {"one", "two"}


@pytest.mark.parametrize("profile", [".", "full"])
def test_parameters_of_every_stage_are_what_dvc_reads(profile: str) -> None:
    path = str(ROOT / profile / "params.yaml")
    content = yaml.safe_load(Path(path).read_bytes())
    keys = [
        *content,
        *(f"{section}.{name}" for section in content if isinstance(content[section], dict) for name in content[section]),
    ]
    assert len(keys) > 50
    read = quick_dvc.read_param_file(LocalFileSystem(), path, keys, flatten=True)
    assert read == read_param_file(LocalFileSystem(), path, keys, flatten=True)
    read[keys[-1]] = read[keys[0]] = None
    assert quick_dvc.read_param_file(LocalFileSystem(), path, keys, flatten=True)[keys[-1]] is not None


@pytest.mark.parametrize("keys", [["a"], ["a.b"], ["a.c.0"], ["a.d"], ["e", "a.b"], ["a.*"], ["f.1"], []])
@pytest.mark.parametrize("flatten", [True, False])
def test_parameters_that_are_none_or_lie_in_lists_are_what_dvc_reads(tmp_path: Path, keys: list[str], flatten: bool) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: {b: 1, c: [2, 3]}\nf: {1: one}\n")

    def outcome(read: Any) -> Any:
        try:
            return read(LocalFileSystem(), str(path), keys, flatten=flatten)
        except Exception as error:
            return type(error)

    assert outcome(quick_dvc.read_param_file) == outcome(read_param_file)


def test_parameters_are_read_again_when_the_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for number in (1, 2):
        path.write_text(f"a: {number}\n")
        assert quick_dvc.read_param_file(LocalFileSystem(), str(path), ["a"], flatten=True) == {"a": number}
