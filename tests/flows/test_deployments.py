import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.server.schemas.schedules import CronSchedule
from prefect.states import Completed, Pending, Running, Scheduled

from flows import deployments, forms
from flows.evaluate import evaluate
from flows.sweep import sweep
from flows.train import train
from tasks.common.errors import Error
from tests.conftest import ROOT


def test_the_time_zone_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert deployments.local_timezone() == "America/New_York"
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert deployments.local_timezone() == "Europe/Berlin"
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(os.path, "realpath", lambda path: "/usr/share/zoneinfo/Asia/Tokyo")
    assert deployments.local_timezone() == "Asia/Tokyo"
    monkeypatch.setattr(os.path, "realpath", lambda path: "/etc/localtime")
    assert deployments.local_timezone() == "UTC"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cron": "0 25 * * *"}, "--cron '0 25"),
        ({"sweep_cron": "daily"}, "--sweep-cron 'daily'"),
        ({"timezone": "Mars"}, "--timezone 'Mars'"),
    ],
)
def test_what_cannot_be_scheduled_is_said(options: dict[str, str], message: str) -> None:
    with pytest.raises(Error, match=message):
        deployments.main(str(Path.cwd()), **options)  # type: ignore[arg-type]


def test_forms_offer_the_profiles_experiments_and_sweeps_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("experiments: {mine: {}, cnn: {}}\nsweeps: {}\n")

    def properties(flow: Any) -> dict[str, Any]:
        made = forms.offer(RunnerDeployment.from_flow(flow, "form"), str(tmp_path))
        return made._parameter_openapi_schema.properties

    own, full = (yaml.safe_load((ROOT / name / "params.yaml").read_bytes()) for name in (".", "full"))
    for flow in (train, evaluate):
        fields = properties(flow)
        assert fields["experiment"]["enum"][:2] == ["mine", "cnn"], "those of the profile that is served come first"
        assert set(fields["experiment"]["enum"]) >= {"mine", *own["experiments"], *full["experiments"]}
        assert len(set(fields["experiment"]["enum"])) == len(fields["experiment"]["enum"])
        assert fields["profile"]["enum"] == [str(tmp_path), ".", "extra", "full"]
    texts = [kind for kind in properties(sweep)["name"]["anyOf"] if kind["type"] == "string"]
    assert set(texts[0]["enum"]) >= {*own["sweeps"], *full["sweeps"]}
    assert {"type": "null"} in properties(sweep)["name"]["anyOf"], "none is all of them"


def nightly() -> RunnerDeployment:
    """The deployment that rebuilds each night, in Berlin."""
    return deployments.deployments(".", "0 3 * * *", None, "0 4 * * 6", None, 60, "Europe/Berlin")[0]


@pytest.mark.parametrize("before", ["2026-03-28", "2026-10-24"], ids=["spring", "autumn"])
def test_a_night_on_which_the_clock_changes_has_one_rebuild_at_its_hour(before: str) -> None:
    (given,) = nightly().schedules or []
    schedule = CronSchedule.model_validate(given.schedule.model_dump())
    noon = datetime.fromisoformat(f"{before}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    dates = asyncio.run(schedule.get_dates(3, noon))
    local = [date.astimezone(noon.tzinfo).replace(tzinfo=None) for date in dates]
    assert local == [noon.replace(tzinfo=None) + timedelta(hours=15, days=day) for day in range(3)]


@pytest.mark.usefixtures("prefect")
def test_after_three_nights_asleep_one_rebuild_runs() -> None:
    deployment = nightly().apply()
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
        due = [datetime.now(UTC) - timedelta(days=days) for days in (3, 2, 1)]
        late = [client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=time)).id for time in due]
        for run in late:
            client.set_flow_run_state(run, Pending())
        assert [client.read_flow_run(run).state_type for run in late] == ["PENDING", "CANCELLED", "CANCELLED"]
        client.set_flow_run_state(late[0], Running())
        client.set_flow_run_state(late[0], Completed())
        tonight = client.create_flow_run_from_deployment(deployment).id
        client.set_flow_run_state(tonight, Pending())
        assert client.read_flow_run(tonight).state_type == "PENDING"
        client.set_flow_run_state(tonight, Completed())
