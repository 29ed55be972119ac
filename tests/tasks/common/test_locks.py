import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.common.errors import Error
from tasks.common.locks import alone, holder
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from tasks.common.locks import alone
with alone(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_message_names_who_holds_the_lock_and_a_killed_holder_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with hold(path) as process:
        with (
            pytest.raises(Error, match=rf"^a sweep runs; wait \(.*lock is held by process {process.pid}: .*python"),
            alone(path, "a sweep runs; wait"),
        ):
            pass
        process.kill()
        process.wait()
    with alone(path, "a sweep runs; wait"):
        assert f"process {os.getpid()}:" in str(holder(path))
    assert holder(path) is None


def test_an_exception_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "lock", "taken"):
        raise ZeroDivisionError
    with alone(tmp_path / "lock", "taken"):
        pass
