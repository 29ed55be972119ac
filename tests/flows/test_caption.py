"""Captions under Prefect: sentences, and what could not be read, stand beside the run."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.exceptions import ParameterTypeError

from flows.caption import caption
from tasks.common.errors import Error
from tasks.profile import Profile
from tests.tasks import captioner
from tests.tasks.test_caption import photographs

MakeProfile = Callable[..., Profile]


@pytest.mark.usefixtures("prefect")
def test_a_folder_gets_sentences_and_what_was_unreadable_is_shown(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to, profile = photographs(tmp_path / "in", 3), tmp_path / "out", str(make_profile().folder)
    (source / "broken.jpg").write_bytes(b"no picture")
    weights = str(captioner.write(tmp_path / "w.safetensors"))
    assert caption(str(source), str(to), profile=profile, weights=weights)["done"] == 4
    assert caption(str(source), str(to), profile=profile, weights=weights)["unchanged"] == 4
    sentences = [*pd.read_csv(to / "captions.csv")["caption"].dropna()]
    assert len(sentences) == 3
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["captions"])))
    said = {str(artifact.description).partition(";")[2].partition(";")[0] for artifact in artifacts}
    assert said == {" 4 looked at, 0 known from before", " 0 looked at, 4 known from before"}
    for artifact in artifacts:
        assert "broken.jpg" in str(artifact.data)
        assert all(sentence in str(artifact.data) for sentence in sentences)
        assert "no picture in a format that is read here" in str(artifact.data)


@pytest.mark.usefixtures("prefect")
def test_what_is_no_captioner_or_no_beam_is_refused_before_any_work(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to, profile = photographs(tmp_path / "in", 1), tmp_path / "out", str(make_profile().folder)
    with pytest.raises(Error, match="did you mean"):
        caption(str(source), str(to), "pair", profile)
    with pytest.raises(ParameterTypeError, match="less than or equal to 50"):
        caption(str(source), str(to), profile=profile, beam=51)
    assert not to.exists()
