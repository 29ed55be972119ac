"""Serve the flows to a Prefect server: `rebuild` nightly, `sweep` weekly, `annotate` on its inbox, all on demand. `flows.serve` starts it."""

import os
from contextlib import suppress
from typing import Annotated, Any
from zoneinfo import available_timezones

import psutil
import typer
from prefect import Flow, get_client, serve
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.schedules import Cron as CronSchedule
from prefect.schedules import Interval
from prefect.states import Crashed

from flows.annotate import annotate
from flows.apply import apply
from flows.caption import caption
from flows.evaluate import evaluate
from flows.find import find
from flows.forms import offer
from flows.options import Cron, Every, ProfileFolder, SweepBudget, SweepCron, SweepEvery, Timezone
from flows.rebuild import rebuild
from flows.sample import sample
from flows.study import study
from flows.sweep import sweep
from flows.train import train
from tasks.common import processes
from tasks.common.errors import Error

# Runs, each a process; those that are late wait.
AT_ONCE = 3
# A laptop that slept three nights has three rebuilds due: the first runs, and the others are cancelled.
ONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
# Seconds between looks into the inbox.
INBOX_EVERY = 300.0


def main(
    profile: ProfileFolder = ".",
    cron: Cron = "0 3 * * *",
    every: Every = None,
    sweep_cron: SweepCron = "0 4 * * 6",
    sweep_every: SweepEvery = None,
    sweep_budget: SweepBudget = 7200,
    timezone: Timezone = None,
    end_left: Annotated[
        bool, typer.Option("--end-left", help="end runs that are left from before; nobody else serves any")
    ] = False,
) -> None:
    """Serve the flows until Ctrl-C; schedules pause when it ends, so that no missed runs pile up."""
    if end_left:
        end_left_runs()
    serve(
        *deployments(profile, cron, every, sweep_cron, sweep_every, sweep_budget, timezone or local_timezone()),
        print_starting_message=False,
        limit=AT_ONCE,
    )


def deployments(
    profile: str, cron: str, every: float | None, sweep_cron: str, sweep_every: float | None, sweep_budget: float, zone: str
) -> list[RunnerDeployment]:
    """What is served. Raises Error for a schedule or a time zone that does not exist."""
    parameters: dict[str, Any] = {"profile": profile}

    def deployment(flow: Flow[..., Any], name: str, given: dict[str, Any], *tags: str, **more: Any) -> RunnerDeployment:
        # The first paragraph: what follows is about Python.
        description = " ".join((flow.description or "").split("\n\n")[0].split())
        made = RunnerDeployment.from_flow(
            flow,
            name,
            parameters=given,
            description=description,
            tags=list(tags),
            entrypoint_type=EntrypointType.MODULE_PATH,
            **more,
        )
        return offer(made, profile)

    def scheduled(
        flow: Flow[..., Any], given: dict[str, Any], option: str, when: str, seconds: float | None, **more: Any
    ) -> RunnerDeployment:
        try:
            schedule = Interval(seconds, timezone=zone) if seconds else CronSchedule(when, timezone=zone)
            return deployment(flow, flow.name, given, "scheduled", schedule=schedule, **more)
        except ValueError as error:
            reason = str(error).splitlines()[-1]
            raise Error(f"{option} {when!r}, --timezone {zone!r}: {reason}") from None

    return [
        scheduled(rebuild, parameters, "--cron", cron, every, concurrency_limit=ONE),
        scheduled(sweep, parameters | {"time_budget": sweep_budget}, "--sweep-cron", sweep_cron, sweep_every),
        deployment(
            annotate, "inbox", parameters | {"wait": True}, "scheduled", "faces", interval=INBOX_EVERY, concurrency_limit=1
        ),
        *(deployment(flow, flow.name, parameters, "on demand") for flow in (train, evaluate, study, apply, caption, sample)),
        deployment(annotate, annotate.name, parameters, "on demand", "faces"),
        deployment(find, find.name, {}, "on demand", "search"),
    ]


def local_timezone() -> str:
    """The time zone of this machine, such as Europe/Berlin; UTC where it does not say."""
    name = os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return name if name in available_timezones() else "UTC"


def end_left_runs() -> None:
    """End runs of deployments that a `make ui` which was killed left behind.

    They become Crashed, and give up what they hold, so that the next one of its kind can run. Nobody else runs any: this is at the start.
    """
    living = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]))
    filters = FlowRunFilter(state=living, deployment_id=FlowRunFilterDeploymentId(is_null_=False))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=filters):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id):
                        processes.end([process])
            client.set_flow_run_state(run.id, Crashed(message="its process ended, with the machine or with `make ui`"))
            print(f"run {run.name} was left behind, and is ended", flush=True)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
