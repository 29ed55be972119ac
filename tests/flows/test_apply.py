from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.apply import apply
from tasks import train
from tasks.common import files
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.learning import weights
from tasks.profile import Profile

MakeProfile = Callable[..., Profile]


@pytest.mark.usefixtures("prefect")
def test_a_folder_is_filtered_and_what_was_skipped_is_shown(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile()
    configuration = train.describe(profile, "pairs", data.info(profile.processed("tiny-pairs")), 0)
    weights.save(profile.results("pairs") / "weights" / "seed-0.safetensors", configuration.build(), configuration)
    source, to = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((5, 7, 3), 100, np.uint8)).save(source / f"{name}.png")
    (source / "c.png").write_bytes(b"none")

    applied = apply("pairs", str(source), str(to), str(profile.folder))
    assert applied.done == ["a.png", "b.png"]
    assert (to / "b.png").exists()
    again = apply("pairs", str(source), str(to), str(profile.folder))
    assert again.unchanged == ["a.png", "b.png"]

    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["apply-pairs"])))
    assert {artifact.description for artifact in artifacts} == {
        "2 done, 0 unchanged, 1 skipped",
        "0 done, 2 unchanged, 1 skipped",
    }
    assert all("c.png" in str(artifact.data) for artifact in artifacts)


@pytest.mark.usefixtures("prefect")
def test_weights_that_git_carries_need_no_experiment_of_the_profile(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile()
    configuration = train.describe(profile, "pairs", data.info(profile.processed("tiny-pairs")), 0)
    carried = profile.root / "models" / "weights" / "other.safetensors"
    weights.save(carried, configuration.build(), configuration.model_copy(update={"experiment": "other"}))
    files.write_json(carried.with_suffix(".json"), {"sha256": files.sha256(carried)})
    Image.fromarray(np.full((5, 7, 3), 100, np.uint8)).save(tmp_path / "a.png")
    assert apply("other", str(tmp_path / "a.png"), str(tmp_path / "out"), str(profile.folder)).done == ["a.png"]


@pytest.mark.usefixtures("prefect")
def test_a_wrong_name_is_refused_before_any_work(make_profile: MakeProfile, tmp_path: Path) -> None:
    with pytest.raises(Error, match="did you mean pairs"):
        apply("pair", str(tmp_path), str(tmp_path / "out"), str(make_profile().folder))
    assert not (tmp_path / "out").exists()
