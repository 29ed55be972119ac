import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.deployments.runner import RunnerDeployment

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
