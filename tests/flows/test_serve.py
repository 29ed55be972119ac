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
from tasks.common.locks import alone
from tests import listening

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


def post(served: Served, path: str, query: dict[str, Any], **headers: str) -> Any:
    """What the API answers to a program of this machine, which asks for a token first."""
    with httpx.Client(base_url=served.prefect, timeout=30) as client:
        token = client.get("/csrf-token", params={"client": "test"}).raise_for_status().json()["token"]
        headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"} | headers
        for _ in range(20):
            answer = client.post(f"/{path}", json=query, headers=headers)
            if answer.status_code != 503:  # the database is busy; Prefect's own client waits, too
                break
            time.sleep(1)
        return answer.raise_for_status().json()


def refuse_strangers(served: Served) -> None:
    """No page of another origin, and no name that was pointed at this machine, reaches Prefect or MLflow."""
    own, query = served.prefect.removesuffix("/api"), {"flow_runs": {}}
    assert isinstance(post(served, "flow_runs/filter", query, Origin=own), list)
    address = f"{served.prefect}/flow_runs/filter"
    assert httpx.post(address, json=query).status_code == 403, "without a token"
    for headers in ({"Origin": "https://example.org"}, {"Origin": "null"}, {"Host": "example.org"}, {"Host": "example.org:4200"}):
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            post(served, "flow_runs/filter", query, **headers)
        assert httpx.get(f"{served.prefect}/csrf-token?client=a", headers=headers).status_code == 403
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://example.org"}
    assert "access-control-allow-origin" not in httpx.options(address, headers=asked).headers
    socket_headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    events = f"{served.prefect}/events/out"
    assert httpx.get(events, headers=socket_headers | {"Origin": "https://example.org"}).status_code == 403

    experiments, body = f"{served.mlflow}/api/2.0/mlflow/experiments/create", {"name": "stranger"}
    for headers in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
        assert httpx.post(experiments, json=body, headers=headers).status_code == 403


def start(project: Path, home: Path, ports: list[int], **more: object) -> Served:
    prefect, mlflow = ports
    environment = {k: v for k, v in os.environ.items() if k not in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    environment["PREFECT_HOME"] = str(home)
    options = {"--prefect-port": prefect, "--mlflow-port": mlflow, "--profile": project, "--timezone": "Europe/Berlin", **more}
    command = [sys.executable, "-m", "flows.serve", *(str(part) for option in options.items() for part in option)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    return Served(process, project, f"http://127.0.0.1:{prefect}/api", f"http://127.0.0.1:{mlflow}")


def ready(served: Served) -> str:
    """What it printed until it was ready."""
    assert served.process.stdout is not None
    output = ""
    while "Ctrl-C" not in output:
        line = served.process.stdout.readline()
        assert line, output
        output += line
    return output


@pytest.fixture
def served(make_project: Callable[..., Path], tmp_path: Path) -> Iterator[Served]:
    """`make ui` on a tiny project, rebuilt every few seconds."""
    started = start(make_project(), tmp_path / "prefect", free_ports(2), **{"--every": 30, "--sweep-every": 30})
    process = started.process
    try:
        yield started
    finally:
        for left in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            left.kill()
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_schedule_fires_and_ctrl_c_stops_everything(served: Served) -> None:
    output = ready(served)
    assert served.prefect.removesuffix("/api") in output
    assert served.mlflow in output
    assert httpx.get(f"{served.mlflow}/health").text == "OK"
    assert httpx.get(served.prefect.removesuffix("/api")).status_code == 200

    refuse_strangers(served)

    def completed() -> list[dict[str, Any]]:
        query = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "flows": {"name": {"any_": ["rebuild", "sweep"]}}}
        return post(served, "flow_runs/filter", query)

    def both() -> list[dict[str, Any]]:
        runs = completed()
        return runs if {run["name"].split("-")[0] for run in runs} >= {"rebuild", "sweep"} else []

    runs = until(both, served)
    assert all(run["auto_scheduled"] for run in runs)
    assert {run["parameters"].get("time_budget") for run in runs if run["name"].startswith("sweep")} == {7200}
    assert (served.project / "results" / "table.csv").read_text() == "x,y\n1,3\n"
    deployments = post(served, "deployments/filter", {})
    assert all(d["description"] and d["tags"] for d in deployments)
    assert {s["schedule"]["timezone"] for d in deployments if d["name"] in ("rebuild", "sweep") for s in d["schedules"]} == {
        "Europe/Berlin"
    }
    everyone = {"rebuild", "sweep", "train", "evaluate", "study", "apply", "sample", "annotate", "inbox", "find", "caption"}
    assert {d["name"] for d in deployments} == everyone
    assert {d["name"] for d in deployments if d["schedules"]} == {"rebuild", "sweep", "inbox"}

    found = listening.addresses(psutil.Process(served.process.pid))
    assert len(found) >= 2
    assert not listening.strangers(found)

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


def test_one_at_a_time(make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with alone(project / "runs" / "ui" / "lock", ""), pytest.raises(Error, match="make ui runs already"):
        prefect, mlflow = free_ports(2)
        serve.main(prefect_port=prefect, mlflow_port=mlflow, profile=str(project))


def end_all(served: Served) -> None:
    if served.process.poll() is None:
        for left in psutil.Process(served.process.pid).children(recursive=True):
            left.kill()
        served.process.kill()
    served.process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_after_a_kill_nothing_lives_on_and_an_inbox_that_was_at_work_works_again(
    make_project: Callable[..., Path], tmp_path: Path
) -> None:
    from tests.tasks import people

    project, home, ports = make_project(), tmp_path / "prefect", free_ports(2)
    inbox = tmp_path / "inbox"
    people.write(inbox, 40)
    store = f"sqlite:///{project / 'mlflow.db'}"
    first = start(project, home, ports, **{"--folder": tmp_path, "--every": 100000, "--sweep-every": 100000})
    second = None
    try:
        ready(first)
        deployment = until(lambda: [d for d in post(first, "deployments/filter", {}) if d["name"] == "inbox"], first)[0]
        arguments = {"source": str(inbox), "to": str(tmp_path / "out"), "profile": str(project), "workers": 0, "wait": True}

        def create(served: Served, parameters: dict[str, Any]) -> str:
            return str(post(served, f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"])

        def state(served: Served, run: str) -> str:
            return str(httpx.get(f"{served.prefect}/flow_runs/{run}", timeout=30).json()["state"]["type"])

        outside = create(first, arguments | {"source": "/etc"})
        assert until(lambda: (found := state(first, outside)) in ("FAILED", "COMPLETED", "CRASHED") and found, first) == "FAILED"
        run = create(first, arguments)
        until(lambda: state(first, run) == "RUNNING" and mlflow_running(store), first)
        family = psutil.Process(first.process.pid).children(recursive=True)
        assert len(family) >= 4
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs(family, 60)
        assert not [p.cmdline() for p in alive]

        second = start(project, home, ports, **{"--folder": tmp_path, "--every": 100000, "--sweep-every": 100000})
        ready(second)
        until(lambda: state(second, run) in ("CRASHED", "CANCELLED", "FAILED"), second)
        assert not mlflow_running(store), "they end as KILLED"
        again = create(second, arguments)
        assert (
            until(lambda: (found := state(second, again)) in ("FAILED", "COMPLETED", "CRASHED") and found, second) == "COMPLETED"
        )
        assert (tmp_path / "out" / "faces.parquet").exists()
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(60) == 0
    finally:
        for each in (first, second):
            if each:
                end_all(each)
    statuses = [run.info.status for run in mlflow_runs(store)]
    assert sorted(statuses) == ["FINISHED", "KILLED"]


def mlflow_runs(store: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    return [run for each in client.search_experiments() for run in client.search_runs([each.experiment_id])]


def mlflow_running(store: str) -> list[Any]:
    return [run for run in mlflow_runs(store) if run.info.status == "RUNNING"]
