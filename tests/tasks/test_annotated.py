"""The stage that annotates a data set, interrupted and asked for something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tasks import annotated, config
from tasks.annotated import photographs
from tasks.profile import Profile
from tests.tasks import people

COUNT = 8


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Profile]:
    """A profile whose data set `people` is downloaded, of which a quarter is test."""
    source = people.write(tmp_path / "data" / "raw" / "people", COUNT)

    def made(hashed: str = "", **block: Any) -> Profile:
        params = {
            "root": ".",
            "device": "cpu",
            "download": {"people": {}},
            "preprocess": {"faces": {"dataset": "people", "task": "translate", "size": 16, "test": 0.25}},
            "annotate": {"people": {"source": "people", "faces": people.FACES.model_dump(mode="json"), **block}},
            "experiments": {},
        }
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        (source / "origin.json").write_text(json.dumps({"origin": "package", "files": hashed}))
        return config.load(tmp_path)

    return made


def interrupted(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage up to where photographs are annotated, and end it there."""

    def end(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(annotated.annotating, "annotate", end)
        with pytest.raises(KeyboardInterrupt):
            annotated.annotated(profile, "people")


def names(profile: Profile) -> set[str]:
    table = pd.read_parquet(profile.folder / "data" / "annotated" / "people" / "faces.parquet")
    return set(table["image_path"])


def test_what_an_interrupted_run_took_is_not_annotated_where_it_is_not_asked_for(
    make: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(make(), monkeypatch)
    profile = make(split="test")
    result = annotated.annotated(profile, "people")
    chosen = photographs(profile, "people", "test")[1]
    assert 0 < len(chosen) < COUNT
    assert names(profile) == set(chosen)
    assert result["n_test"] == len(chosen)
    assert not list(profile.state("annotate").iterdir())


def test_what_an_interrupted_run_took_of_other_data_is_not_used(
    make: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(make(), monkeypatch)
    profile = make(hashed="of other files")
    file = profile.raw("people") / "wall.png"
    people.save(file, people.portrait())
    annotated.annotated(profile, "people")
    table = pd.read_parquet(profile.folder / "data" / "annotated" / "people" / "faces.parquet")
    assert set(table.loc[table["image_path"] == "wall.png", "width"]) == {200}


def test_the_same_photographs_go_on(make: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make()
    interrupted(profile, monkeypatch)
    [written] = profile.state("annotate").glob("people/*/photographs/wall.png")
    before = written.stat().st_mtime_ns
    interrupted(profile, monkeypatch)
    assert written.stat().st_mtime_ns == before
