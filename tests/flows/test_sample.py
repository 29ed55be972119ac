from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.sample import sample
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.profile import Profile
from tests.tasks.kinds.generate.conftest import make

__all__ = ["make"]


@pytest.mark.usefixtures("prefect")
def test_samples_are_drawn_and_shown(make: Callable[..., Profile], tmp_path: Path) -> None:
    profile = make(plain={})
    configuration = describe(profile, "plain", data.info(profile.processed("discs")), 0)
    weights.save(profile.weights("plain"), configuration.build(), configuration)
    written = sample("plain", str(tmp_path / "out"), 3, seed=2, profile=str(profile.folder))
    assert [path.name for path in written] == ["0000.png", "0001.png", "0002.png"]
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["sample-plain"])))
    assert [str(artifact.data) for artifact in artifacts] == [f"3 files in `{tmp_path / 'out'}`, seed 2, class any"]
    for asked, says in (
        ({"text": "a three"}, "follows no sentences"),
        ({"truncation": 0.5}, "has no styles"),
        ({"mix": 1}, "has no styles"),
    ):
        with pytest.raises(Error, match=says):
            sample("plain", str(tmp_path / "out"), 3, profile=str(profile.folder), **asked)  # type: ignore[arg-type]
    with pytest.raises(Error, match="did you mean plain"):
        sample("plan", str(tmp_path / "out"), profile=str(profile.folder))
