import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.sweep import sweep
from tasks.common.errors import Error
from tasks.profile import Profile
from tests.sweeps import with_sweep

MakeProfile = Callable[..., Profile]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
def test_a_sweep_shows_its_trials_and_leaves_the_stages_alone(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(), trials=4)
    result = sweep("tiny", str(profile.folder), time_budget=500)
    out = profile.root / "runs" / "sweep-tiny"
    assert json.loads((out / "metrics.json").read_text())["trials"] == result["trials"]
    assert not (profile.folder / "results").exists()
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["sweep-tiny"])))
    last = max(artifacts, key=lambda artifact: artifact.created)
    rows = json.loads(str(last.data))
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    assert all(row["state"] in ("complete", "pruned") for row in rows)
    assert last.description == f"tiny: 4 of 4 trials begun, {result['trials']['complete']} ran to their end"


@pytest.mark.usefixtures("prefect")
def test_a_wrong_name_is_refused_before_any_work(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile())
    with pytest.raises(Error, match="did you mean tiny"):
        sweep("tinny", str(profile.folder))
    assert not (profile.root / "runs").exists()


@pytest.mark.usefixtures("prefect")
def test_a_profile_without_sweeps_has_nothing_to_do(make_profile: MakeProfile) -> None:
    assert sweep(profile=str(make_profile().folder)) == {}
    assert not Path(make_profile().root / "runs").exists()
