"""The Prefect server with our deployments, and MLflow, on this machine alone: `make ui`. `python -m flows.serve --help`"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from flows import FOLDERS, ROOT
from flows.links import PAGE
from flows.options import Cron, Every, ProfileFolder, SweepBudget, SweepCron, SweepEvery, Timezone
from tasks import config
from tasks.common import processes
from tasks.common.errors import Error
from tasks.common.locks import alone
from tasks.common.own_pages import HOST, check_free, origins
from tasks.learning import tracking

# Of the API: the deployment that is made last.
LAST = "deployments/name/find/find"
PATIENCE = 300.0  # seconds; a first start makes the databases, on a busy machine for minutes


class Service:
    """A program that runs as long as the block; its output goes to `log`."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: dict[str, str], health: str | None = None
    ) -> None:
        self.name, self.command, self.log = name, command, log
        self.environment, self.health = environment, health

    def __enter__(self) -> "Service":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end the services in order.
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        processes.stop(self.process)

    def wait(self) -> None:
        """Return when it answers. Raises Error where it ends before that, or takes too long."""
        end = time.monotonic() + PATIENCE
        while self.health and not _healthy(self.health):
            self.check()
            if time.monotonic() > end:
                raise self._error(f"does not answer after {PATIENCE:.0f} s")
            time.sleep(0.2)

    def check(self) -> None:
        """Raises Error with the log's end where the program has ended."""
        if self.process.poll() is not None:
            raise self._error("ended")

    def _error(self, what: str) -> Error:
        last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return Error(f"{self.name} {what}; {self.log} ends with:\n" + "\n".join(last))


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the block."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # Ctrl-C too: a shell starts what it puts into the background with SIGINT ignored.
    numbers = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        print("stopped", flush=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(
    prefect_port: Annotated[int, typer.Option(help="of Prefect's page and API", min=1, max=65535)] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="of MLflow's page and API", min=1, max=65535)] = 5000,
    profile: ProfileFolder = ".",
    cron: Cron = "0 3 * * *",
    every: Every = None,
    sweep_cron: SweepCron = "0 4 * * 6",
    sweep_every: SweepEvery = None,
    sweep_budget: SweepBudget = 7200,
    timezone: Timezone = None,
    folder: Annotated[
        list[Path], typer.Option(help="a folder, besides the project's, that runs of the page may read and write")
    ] = [],  # noqa: B006
) -> None:
    """Start Prefect, MLflow and the flows' deployments on this machine, print their addresses, and stop them all on Ctrl-C.

    PREFECT_API_URL and MLFLOW_TRACKING_URI name servers that run already: those are used, and none of ours is started.
    """
    root = config.load(ROOT / profile).root
    # MLflow's own jobs, which we have none of, are eight processes.
    logs, environment = root / "runs" / "ui", os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment[FOLDERS] = os.pathsep.join(str(path.resolve()) for path in (root, *folder))
    store = tracking.uri(root)
    prefect, mlflow = os.environ.get("PREFECT_API_URL"), store if store.startswith("http") else None
    message, listed = "make ui runs already; use its pages, or stop it", logs / "processes.json"
    if listed.exists():  # what an earlier start left may hold the ports
        with alone(logs / "lock", message):
            processes.end_listed(listed)
    own = not prefect
    if own:
        check_free(prefect_port, "--prefect-port")
    if not mlflow:
        check_free(mlflow_port, "--mlflow-port")

    with alone(logs / "lock", message), interruptible(), ExitStack() as running:
        services: list[Service] = []
        watched = running.enter_context(processes.Watched(listed))

        def start(name: str, command: list[str], health: str | None = None) -> None:
            print(f"starting {name} ...", flush=True)
            services.append(running.enter_context(Service(name, command, logs / f"{name}.log", environment, health)))
            watched.add(services[-1].process.pid)

        # Side by side: each takes many seconds.
        if own:
            prefect = environment["PREFECT_API_URL"] = f"http://{HOST}:{prefect_port}/api"
            environment["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] = "true"
            environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(origins(prefect_port))
            start("prefect", ["flows.prefect_server", "--port", str(prefect_port)], f"{prefect}/health")
        if not mlflow:
            mlflow = f"http://{HOST}:{mlflow_port}"
            tracking.end_left(root)
            command = ["mlflow", "server", "--host", HOST, "--port", str(mlflow_port), "--workers", "1"]
            command += ["--backend-store-uri", store, "--artifacts-destination", str(tracking.artifacts(root))]
            start("mlflow", command, f"{mlflow}/health")
        for service in services:
            service.wait()
        environment[PAGE] = mlflow
        options = {"profile": profile, "cron": cron, "every": every}
        options |= {"sweep-cron": sweep_cron, "sweep-every": sweep_every, "sweep-budget": sweep_budget, "timezone": timezone}
        start(
            "deployments",
            [
                "flows.deployments",
                *(["--end-left"] if own else []),
                *(f"--{name}={value}" for name, value in options.items() if value is not None),
            ],
            f"{prefect}/{LAST}",
        )
        # A page that is opened before they are there says that there are none, and does not look again.
        services[-1].wait()
        assert prefect
        print(f"Prefect  {prefect.removesuffix('/api')}\nMLflow   {mlflow}\nlogs     {logs}\nCtrl-C stops them all.", flush=True)
        while True:
            for service in services:
                service.check()
            time.sleep(0.5)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
