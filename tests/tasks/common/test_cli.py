import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
import typer

from tasks.common.cli import readable, run
from tasks.common.errors import Error
from tests.conftest import ROOT

PROGRAM = """
import atexit, os, sys, threading, time
import typer
from tasks.common.cli import run
from tasks.common.errors import Error

class Slow:
    def __del__(self):
        print("taken down", flush=True)

slow = Slow()
atexit.register(print, "registered")

def main(what: str) -> None:
    threading.Thread(target=lambda: (time.sleep(0.5), print("thread"))).start()
    sys.stdout.write("not flushed ")
    if what == "error":
        raise Error("put it right")
    if what == "full":
        raise OSError(28, "No space left on device", "file.txt")
    if what == "other":
        raise OSError(13, "Permission denied", "file.txt")
    if what == "exit":
        raise typer.Exit(5)
    if what == "abort":
        raise KeyboardInterrupt

run(main)
"""


def start(what: str, tmp_path: Path) -> tuple[int, str, str]:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "program.py", what], cwd=tmp_path, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("well", 0, ""),
        ("error", 1, "error: put it right\n"),
        ("full", 1, "error: the disk is full: file.txt; make room and run the same command again\n"),
        ("exit", 5, ""),
    ],
)
def test_a_program_ends_at_once_with_all_that_it_had_to_do(what: str, code: int, said: str, tmp_path: Path) -> None:
    ended, out, err = start(what, tmp_path)
    assert (ended, err) == (code, said)
    # Threads first, then what is registered, as the interpreter does; objects are not taken down.
    assert out == "not flushed thread\nregistered\n"


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    ended, out, err = start("other", tmp_path)
    assert ended == 1
    assert "Traceback" in err
    assert "PermissionError" in err
    assert "registered" in out


def test_ctrl_c_is_an_abort(tmp_path: Path) -> None:
    ended, _, err = start("abort", tmp_path)
    assert ended not in (0, None)
    assert "Traceback" not in err


def test_a_function_of_another_module_leaves_the_process_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise Error("put it right")

    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == "error: put it right"


# Each option of a command that names a file to read: weights, words of a foreign network, a photograph to look for.
READ = {
    "apply": ["weights"],
    "caption": ["path"],
    "compress": ["weights"],
    "deepface_weights": ["file"],
    "evaluate_clip": ["weights", "merges"],
    "export": ["weights"],
    "find": ["weights", "merges", "like"],
    "look": ["path"],
    "sample": ["weights"],
}


@pytest.mark.parametrize(("command", "option"), [(command, option) for command, options in READ.items() for option in options])
def test_an_option_that_is_read_takes_no_pipe_and_no_folder(command: str, option: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"tasks.{command}")
    main = module.style if command == "look" else module.main
    declared = [given for given in get_type_hints(main, include_extras=True)[option].__metadata__ if hasattr(given, "callback")]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("weights")
    (refuse,) = [given.callback for given in declared]
    for wrong in (tmp_path / "pipe", tmp_path):
        with pytest.raises(Error, match="no regular file"):
            refuse(wrong)
        with pytest.raises(Error, match="no regular file"):
            refuse(str(wrong))
    assert refuse(tmp_path / "file") == tmp_path / "file"
    # A name that is no file may be one of published weights; what is missing is said where it is read.
    assert [refuse(None), refuse("laion400m_e32"), refuse(tmp_path / "gone")] == [None, "laion400m_e32", tmp_path / "gone"]


def test_a_pipe_ends_a_command_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main(weights: Annotated[Path | None, typer.Option(callback=readable)] = None) -> None:
        raise AssertionError(f"read {weights}")

    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(sys, "argv", ["program", "--weights", str(tmp_path / "pipe")])
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == f"error: {tmp_path / 'pipe'}: no regular file; give the path of one"


def test_help_flows_over_the_lines_of_its_source(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        """Say it.

        Of a paragraph
        the lines are one.

        The next is another.
        """

    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit):
        run(main)
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {"Say it.", "Of a paragraph the lines are one.", "The next is another."} <= {*said}
