"""A search under Prefect: what was found stands beside the run."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.find import find
from tasks.common.errors import Error
from tests.tasks.finding.conftest import learned, photographs


@pytest.mark.usefixtures("prefect")
def test_a_folder_is_searched_and_what_was_found_is_shown(tmp_path: Path) -> None:
    weights, folder = learned(tmp_path / "colours.safetensors"), photographs(tmp_path / "photographs")
    found = find(str(folder), "red", count=2, weights=str(weights))
    assert {Path(path).name for path, _ in found} == {"red0.png", "red3.png"}
    find(str(folder), like=str(folder / "blue2.png"), count=1, weights=str(weights))
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["find"])))
    assert any(str(artifact.description) == "red: 7 looked at, 0 known from before" for artifact in artifacts)
    assert all("broken.jpg" in str(artifact.data) for artifact in artifacts)
    with pytest.raises(Error, match="none of its words is known"):
        find(str(folder), "xyzzy", weights=str(weights))
