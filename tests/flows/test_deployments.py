import os
from pathlib import Path

import pytest

from flows import deployments
from tasks.common.errors import Error


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
