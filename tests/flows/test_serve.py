"""The real servers, on loopback: a schedule fires, and Ctrl-C leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from flows import ROOT, serve
from tasks.common.errors import Error

PATIENCE = 400.0


class Served(NamedTuple):
    process: subprocess.Popen[str]
    project: Path
    prefect: str
    mlflow: str


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def until(condition: Callable[[], Any], served: Served) -> Any:
    """Wait for a true answer, and say what the programs printed where there is none."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.3)
    logs = "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in (served.project / "runs" / "ui").glob("*.log"))
    pytest.fail(f"nothing within {PATIENCE:.0f} s\n{logs}")


@pytest.fixture
def served(make_project: Callable[..., Path], tmp_path: Path) -> Iterator[Served]:
    """`make ui` on a tiny project, rebuilt every few seconds."""
    project = make_project()
    prefect, mlflow = free_ports(2)
    environment = {k: v for k, v in os.environ.items() if k not in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    options = {"--prefect-port": prefect, "--mlflow-port": mlflow, "--profile": project, "--every": 30, "--sweep-every": 30}
    command = [sys.executable, "-m", "flows.serve", *(str(part) for option in options.items() for part in option)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield Served(process, project, f"http://127.0.0.1:{prefect}/api", f"http://127.0.0.1:{mlflow}")
    finally:
        for left in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            left.kill()
        process.kill()
        process.communicate()


@pytest.mark.timeout(900)
def test_a_schedule_fires_and_ctrl_c_stops_everything(served: Served) -> None:
    assert served.process.stdout is not None
    output = ""
    while "Ctrl-C" not in output:
        line = served.process.stdout.readline()
        assert line, output
        output += line
    assert served.prefect.removesuffix("/api") in output
    assert served.mlflow in output
    assert httpx.get(f"{served.mlflow}/health").text == "OK"
    assert httpx.get(served.prefect.removesuffix("/api")).status_code == 200

    def completed() -> list[dict[str, Any]]:
        query = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "flows": {"name": {"any_": ["rebuild", "sweep"]}}}
        return httpx.post(f"{served.prefect}/flow_runs/filter", json=query).json()

    def both() -> list[dict[str, Any]]:
        runs = completed()
        return runs if {run["name"].split("-")[0] for run in runs} >= {"rebuild", "sweep"} else []

    runs = until(both, served)
    assert all(run["auto_scheduled"] for run in runs)
    assert {run["parameters"].get("time_budget") for run in runs if run["name"].startswith("sweep")} == {7200}
    assert (served.project / "results" / "table.csv").read_text() == "x,y\n1,3\n"
    deployments = httpx.post(f"{served.prefect}/deployments/filter", json={}).json()
    assert {d["name"] for d in deployments} == {"rebuild", "sweep", "train", "evaluate", "apply", "annotate", "inbox"}
    assert {d["name"] for d in deployments if d["schedules"]} == {"rebuild", "sweep", "inbox"}

    family = psutil.Process(served.process.pid).children(recursive=True)
    assert len(family) >= 3
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0
    _, alive = psutil.wait_procs(family, 1)
    assert not alive
    for url in (served.prefect, served.mlflow):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_a_port_in_use_is_refused_before_any_start(make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        with pytest.raises(Error, match=rf"port {port} .* --mlflow-port"):
            serve.main(prefect_port=free_ports(1)[0], mlflow_port=port, profile=str(project))
    assert not (project / "runs").exists()


def test_a_service_that_ends_at_once_says_why(tmp_path: Path) -> None:
    service = serve.Service(
        "broken", ["flows.no_such_module"], tmp_path / "broken.log", dict(os.environ), "http://127.0.0.1:9/health"
    )
    with service, pytest.raises(Error, match="No module named"):
        service.wait()
