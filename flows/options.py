"""Options that `flows.serve` takes and hands to `flows.deployments`."""

from typing import Annotated

import typer

ProfileFolder = Annotated[str, typer.Option(help="the profile that is rebuilt, seen from the project's folder")]
Cron = Annotated[str, typer.Option(help="when it is rebuilt")]
Every = Annotated[float | None, typer.Option(help="seconds between rebuilds, in place of --cron")]
SweepCron = Annotated[str, typer.Option(help="when the profile's sweeps run")]
SweepEvery = Annotated[float | None, typer.Option(help="seconds between sweeps, in place of --sweep-cron")]
Timezone = Annotated[
    str | None, typer.Option(help="of --cron and --sweep-cron, such as Europe/Berlin; by default this machine's")
]
SweepBudget = Annotated[float, typer.Option(help="seconds that a scheduled sweep may take", min=1)]
