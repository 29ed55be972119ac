from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.annotate import annotate
from tasks.common.errors import Error
from tasks.profile import Profile
from tests.tasks import people

MakeProfile = Callable[..., Profile]


@pytest.mark.usefixtures("prefect")
def test_an_inbox_is_annotated_and_only_what_is_new_is_done(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, inbox, to = make_profile(), tmp_path / "inbox", tmp_path / "out"
    assert annotate(str(inbox), str(to), str(profile.folder), workers=0, wait=True) is None
    assert inbox.is_dir()
    people.write(inbox, 2)
    first = annotate(str(inbox), str(to), str(profile.folder), workers=0, wait=True)
    people.save(inbox / "new.png", people.portrait()[10:])
    second = annotate(str(inbox), str(to), str(profile.folder), workers=0, wait=True)
    assert first
    assert second
    assert (first["done"], second["done"], second["unchanged"]) == (2, 1, 2)
    assert pd.read_parquet(to / "faces.parquet")["image_path"].nunique() == 3
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["annotate"])))
    assert len(found) == 2
    assert all("contact-sheet.html" in str(artifact.description) for artifact in found)


@pytest.mark.usefixtures("prefect")
def test_on_demand_a_missing_folder_is_an_error(make_profile: MakeProfile, tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such folder"):
        annotate(str(tmp_path / "none"), str(tmp_path / "out"), str(make_profile().folder))
