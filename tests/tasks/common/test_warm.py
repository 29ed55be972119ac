"""The real parent, and steps of a package `tasks` that stands in a test's folder, as a project's stands in the project's."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file

from tasks.common import warm
from tasks.profile import Profile
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks a parent with these libraries")
MakeProfile = Callable[..., Profile]

STEP = """
import sys
warm = "colorsys" in sys.modules
import json, os, random, signal, time
import numpy as np

def say(**more):
    print(json.dumps({"warm": warm, **more}), flush=True)

command, *arguments = sys.argv[1:]
if command == "look":
    mask = os.umask(0); os.umask(mask)
    say(folder=os.getcwd(), environment=dict(os.environ), umask=mask, arguments=arguments, path=sys.path[0], name=__name__,
        drawn=[random.random(), float(np.random.rand())], read=sys.stdin.read(), file=os.path.basename(sys.argv[0]))
elif command == "threads":
    import torch, threadpoolctl, scipy.linalg
    threadpoolctl.threadpool_info()
    say(torch=[torch.get_num_threads(), torch.get_num_interop_threads()], seed=torch.initial_seed(),
        blas=sorted([p["internal_api"], p["num_threads"]] for p in threadpoolctl.threadpool_info()),
        parallel=torch.__config__.parallel_info())
elif command == "exit":
    sys.exit(int(arguments[0]) if arguments[0].isdigit() else arguments[0])
elif command == "raise":
    raise RuntimeError("broken")
elif command == "wait":
    def ended(*_):
        say(signal="TERM")
        sys.exit(7)
    signal.signal(signal.SIGTERM, ended)
    say(pid=os.getpid())
    time.sleep(60)
elif command == "die":
    os.kill(os.getpid(), int(arguments[0]))
say(last=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "__init__.py").touch()
    (folder / "tasks" / "step.py").write_text(STEP)
    return folder


class Parent:
    """A parent of its own, whose environment is `environment`."""

    def __init__(self, folder: Path, libraries: tuple[str, ...], idle: float, prelude: str = "") -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        path = f"{ROOT / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "DARKROOM_WARM": str(folder), "DARKROOM_PYTHON": sys.executable}
        listener = warm._listen(folder)
        code = f"import sys, socket; from tasks.common import warm\n{prelude}\n"
        code += "warm.Parent(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2]), sys.argv[3:]).serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(listener.fileno()), str(idle), *libraries],
            cwd=ROOT,
            env=self.environment,
            pass_fds=[listener.fileno()],
        )
        listener.close()

    def start(self, project: Path, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        more = {"env": self.environment, "stdin": subprocess.DEVNULL, **more}
        return subprocess.Popen(
            ["python", "-m", "tasks.step", *arguments],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, project: Path, *arguments: str, **more: Any) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, what the step said, and its errors."""
        process = self.start(project, *arguments, **more)
        out, err = process.communicate(timeout=120)
        return process.returncode, [json.loads(line) for line in out.splitlines()], err


@contextmanager
def parent(folder: Path, *libraries: str, idle: float = 60, prelude: str = "") -> Iterator[Parent]:
    made = Parent(folder, libraries or ("colorsys",), idle, prelude)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parent]:
    with parent(tmp_path_factory.mktemp("shared") / "warm", "colorsys", "numpy") as made:
        yield made


def fresh(made: Parent) -> dict[str, str]:
    return made.environment | {"DARKROOM_WARM": "0"}


def test_a_step_finds_what_a_fresh_process_would(shared: Parent, project: Path) -> None:
    (project / "input").write_text("input\n")

    def look(environment: dict[str, str]) -> dict[str, Any]:
        changing = {"DVC_STAGE": "train@x", "SHLVL": "9", "PYTHONUNBUFFERED": "1"}
        with (project / "input").open() as file:
            code, said, err = shared.run(project, "look", "-x", "a b", stdin=file, umask=0o027, env=environment | changing)
        assert code == 0, err
        return said[0]

    first, second, other = look(shared.environment), look(shared.environment), look(fresh(shared))
    assert (first.pop("warm"), second["warm"], other.pop("warm")) == (True, True, False)
    assert first["drawn"] != second["drawn"], "what nobody seeds differs from process to process"
    for each in (first, other):
        del each["drawn"]
        each["environment"].pop("DARKROOM_WARM")
    assert first["environment"] == other["environment"]
    assert first == other
    assert (first["umask"], first["read"], first["folder"], first["name"]) == (0o027, "input\n", str(project), "__main__")


def test_code_that_changed_is_run_as_it_is(shared: Parent, project: Path) -> None:
    assert shared.run(project, "exit", "0")[0] == 0
    (project / "tasks" / "step.py").write_text("import sys; sys.exit(9)  # another size")
    assert shared.run(project, "exit", "0")[0] == 9


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(("exit", "0"), 0, ""), (("exit", "3"), 3, ""), (("exit", "words"), 1, "words\n"), (("raise",), 1, "RuntimeError: broken\n"),
     (("die", "9"), -9, ""), (("die", "15"), -15, "")],
    ids=lambda value: str(value),
)  # fmt: skip
def test_exit_codes_are_the_step_s(shared: Parent, project: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    for environment in (shared.environment, fresh(shared)):
        ended, _, err = shared.run(project, *arguments, env=environment)
        assert ended == code
        assert err.endswith(said)


def test_signals_reach_the_step(shared: Parent, project: Path) -> None:
    process = shared.start(project, "wait")
    assert process.stdout is not None
    begun = json.loads(process.stdout.readline())
    assert begun["warm"]
    assert begun["pid"] != process.pid
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["signal"], err) == (7, "TERM", "")


def test_ctrl_c_ends_a_step_as_it_ends_a_process(shared: Parent, project: Path) -> None:
    process = shared.start(project, "wait")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err


def test_a_step_dies_with_its_client(shared: Parent, project: Path) -> None:
    process = shared.start(project, "wait")
    assert process.stdout is not None
    step = json.loads(process.stdout.readline())["pid"]
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while Path(f"/proc/{step}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_setting_that_libraries_read_gets_a_fresh_process(shared: Parent, project: Path) -> None:
    for changed in ({"OMP_NUM_THREADS": "7"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"CUDA_VISIBLE_DEVICES": "1"}):
        code, said, _ = shared.run(project, "look", env=shared.environment | changed)
        assert (code, said[0]["warm"]) == (0, False)
        assert said[0]["environment"].items() >= changed.items()
    assert shared.run(project, "look")[1][0]["warm"]


def test_other_processors_get_a_fresh_process(shared: Parent, project: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    one = {min(os.sched_getaffinity(0))}
    _, said, _ = shared.run(project, "look", preexec_fn=lambda: os.sched_setaffinity(0, one))
    assert said[0]["warm"] is False


def test_threads_and_seeds_are_those_of_a_fresh_process(project: Path, tmp_path: Path) -> None:
    with parent(tmp_path / "warm", "colorsys", "torch", "scipy.special", "pandas") as made:
        found = [made.run(project, "threads", env=e)[1][0] for e in (made.environment, made.environment, fresh(made))]
    assert [each.pop("warm") for each in found] == [True, True, False]
    assert len({each.pop("seed") for each in found}) == 3, "what nobody seeds differs from process to process"
    assert found[0] == found[2]


def test_another_interpreter_gets_a_fresh_process(project: Path, tmp_path: Path) -> None:
    with parent(tmp_path / "warm", prelude="sys.version += ' patched'") as made:
        assert made.run(project, "look")[1][0]["warm"] is False


def test_a_parent_whose_code_or_packages_changed_ends(project: Path, tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    with parent(tmp_path / "warm", prelude=f"sys.path.append({str(packages)!r})") as made:
        assert made.run(project, "look")[1][0]["warm"] is True
        (packages / "installed.py").touch()
        assert made.run(project, "look")[1][0]["warm"] is False
        assert made.process.wait(10) == 0
        assert made.run(project, "look")[1][0]["warm"] is False


def test_a_parent_that_died_is_not_missed(project: Path, tmp_path: Path) -> None:
    with parent(tmp_path / "warm") as made:
        assert made.run(project, "look")[1][0]["warm"] is True
        made.process.kill()
        made.process.wait()
        assert (made.folder / "socket").exists()
        code, said, err = made.run(project, "look")
    assert (code, said[0]["warm"], err) == (0, False, "")


def test_a_parent_ends_when_nothing_comes_but_not_during_a_step(project: Path, tmp_path: Path) -> None:
    with parent(tmp_path / "warm", idle=1) as made:
        process = made.start(project, "wait")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(3)
        assert made.process.poll() is None
        process.terminate()
        process.communicate()
        assert made.process.wait(10) == 0


def test_a_step_of_a_second_does_not_wait_for_a_parent_that_imports_still(project: Path, tmp_path: Path) -> None:
    (project / "tasks" / "download.py").write_text("print('done')")
    prelude = "import time; warm._warm_up = lambda libraries: time.sleep(100)"
    with parent(tmp_path / "warm", prelude=prelude) as made:
        command = ["python", "-m", "tasks.download"]
        assert subprocess.check_output(command, cwd=project, env=made.environment, timeout=50) == b"done\n"


def test_a_parent_imports_nothing_before_a_step_comes(project: Path, tmp_path: Path) -> None:
    (project / "tasks" / "code.py").write_text("")
    with parent(tmp_path / "warm") as made:
        time.sleep(2)
        assert not (made.folder / warm.WARM).exists()
        # A light step does not wait for it, and has it begin.
        subprocess.check_output(["python", "-m", "tasks.code"], cwd=project, env=made.environment, timeout=50)
        give_up = time.monotonic() + 30
        while not (made.folder / warm.WARM).exists():
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_parent_with_a_thread_forks_nothing(project: Path, tmp_path: Path) -> None:
    prelude = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    with parent(tmp_path / "warm", prelude=prelude) as made:
        assert made.run(project, "look")[1][0]["warm"] is False


@pytest.mark.skipif(os.getuid() != 0, reason="being somebody else is for root")
def test_nobody_else_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_WARM", str(tmp_path))
    # A name that belongs to no folder: the socket's own rights keep strangers out already.
    name = f"\0darkroom-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        code = "import sys, socket; from tasks.common import warm; warm.Parent(socket.socket(fileno=int(sys.argv[1])), 60, ()).serve()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(listener.fileno())], cwd=ROOT, env=dict(os.environ), pass_fds=[listener.fileno()]
        )
    ask = """
import os, socket, struct, sys
content = open(0, "rb").read()
with socket.socket(socket.AF_UNIX) as parent:
    parent.connect("\\0" + sys.argv[1])
    try:
        socket.send_fds(parent, [struct.pack("Q", len(content))], [0, 1, 2])
        parent.sendall(content)
        print(parent.recv(1))
    except OSError as error:
        print(type(error))
"""
    environment = {"environment": dict(os.environ), "affinity": sorted(os.sched_getaffinity(0)), "umask": 0o022, "folder": "/"}
    request = {"arguments": ["-m", "tasks.step"], "interpreter": [sys.version, os.path.realpath(sys.executable)], **environment}

    def answer(user: int) -> str:
        return subprocess.run(
            ["/usr/bin/python3", "-c", ask, name[1:]],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            user=user,
            cwd="/",
        ).stdout.strip()

    try:
        assert answer(12345) in ("b''", "<class 'ConnectionResetError'>", "<class 'BrokenPipeError'>")
        assert answer(0) == "b'1'"
    finally:
        process.kill()
        process.wait()


def test_the_socket_is_private_and_goes_with_the_block(tmp_path: Path) -> None:
    with warm.serving(tmp_path) as environment:
        folder = Path(environment["DARKROOM_WARM"])
        assert folder.parent == tmp_path / "runs" / "warm"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "socket").stat().st_mode & 0o777 == 0o600
    assert not folder.exists()


def test_it_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_WARM", "0")
    with warm.serving(tmp_path) as environment:
        assert environment == dict(os.environ)


@pytest.mark.slow
def test_a_training_gives_the_same_bytes(make_profile: MakeProfile) -> None:
    """By DVC, whose shell and variables stand between, with all libraries."""
    profile = make_profile()
    dvc = {"stages": {"train": {"cmd": "python -m tasks.train classes", "outs": ["results"]}}}
    (profile.folder / "dvc.yaml").write_text(json.dumps(dvc))
    from dvc.repo import Repo

    Repo.init(str(profile.folder), no_scm=True).close()
    found = []
    for option in ("0", "1"):
        environment = os.environ | {
            "DARKROOM_WARM": option,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        code = (
            "import sys, subprocess, psutil; from pathlib import Path; from tasks.common import warm\n"
            "with warm.serving(Path.cwd()) as e:\n"
            "    code = subprocess.call([sys.executable, '-m', 'dvc', 'repro', '--force'], env=e)\n"
            "    print('parents:', *(child.memory_info().rss for child in psutil.Process().children()))\n"
            "sys.exit(code)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=profile.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        parents = done.stdout.split("parents:")[1].split()
        assert len(parents) == int(option)
        assert all(int(memory) > 300 << 20 for memory in parents), "the parent was asked, and is warm"
        results = profile.results("classes")
        history = pd.read_csv(results / "history.csv").drop(columns="seconds")
        found.append(((results / "weights" / "seed-0.safetensors").read_bytes(), history))
    assert load_file(profile.results("classes") / "weights" / "seed-0.safetensors")
    assert found[0][0] == found[1][0]
    pd.testing.assert_frame_equal(found[0][1], found[1][1], check_exact=True)
