"""Serve the flows to a Prefect server: `rebuild` nightly, `sweep` weekly, `annotate` on its inbox, all on demand. `flows.serve` starts it."""

from typing import Any

from prefect import serve
from prefect.deployments.runner import EntrypointType, RunnerDeployment

from flows.annotate import annotate
from flows.apply import apply
from flows.evaluate import evaluate
from flows.options import Cron, Every, ProfileFolder, SweepBudget, SweepCron, SweepEvery
from flows.rebuild import rebuild
from flows.sweep import sweep
from flows.train import train
from tasks.common.errors import Error

# Runs, each a process; those that are late wait.
AT_ONCE = 3
# Seconds between looks into the inbox.
INBOX_EVERY = 300.0


def main(
    profile: ProfileFolder = ".",
    cron: Cron = "0 3 * * *",
    every: Every = None,
    sweep_cron: SweepCron = "0 4 * * 6",
    sweep_every: SweepEvery = None,
    sweep_budget: SweepBudget = 7200,
) -> None:
    """Serve the flows until Ctrl-C; schedules pause when it ends, so that no missed runs pile up."""
    module, parameters = EntrypointType.MODULE_PATH, {"profile": profile}
    budget = {**parameters, "time_budget": sweep_budget}
    scheduled = []
    for flow, given, option, when, interval in (
        (rebuild, parameters, "--cron", cron, every),
        (sweep, budget, "--sweep-cron", sweep_cron, sweep_every),
    ):
        times: dict[str, Any] = {"interval": interval} if interval else {"cron": when}
        try:
            made = RunnerDeployment.from_flow(flow, flow.name, parameters=given, entrypoint_type=module, **times)
        except ValueError as error:
            raise Error(f"{option} {when!r}: {error}") from None
        scheduled.append(made)
    inbox = RunnerDeployment.from_flow(
        annotate,
        "inbox",
        parameters=parameters | {"wait": True},
        interval=INBOX_EVERY,
        concurrency_limit=1,
        entrypoint_type=module,
    )
    flows = (train, evaluate, apply, annotate)
    on_demand = [RunnerDeployment.from_flow(f, f.name, parameters=parameters, entrypoint_type=module) for f in flows]
    serve(*scheduled, inbox, *on_demand, print_starting_message=False, limit=AT_ONCE)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
