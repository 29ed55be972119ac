"""The stage that annotates a data set, interrupted and asked for something else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image

from tasks import annotated, config
from tasks.annotated import photographs
from tasks.datasets.records import Box, Raw
from tasks.faces import report_faces
from tasks.faces.metrics import FOUND
from tasks.imaging import pictures
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


def test_the_results_are_tables_for_git_figures_for_dvc_and_one_small_picture(make: Callable[..., Profile]) -> None:
    profile = make()
    result = annotated.annotated(profile, "people")
    folder = profile.results("annotate-people")
    counts = pd.read_csv(folder / "tables" / "counts.csv").set_index("what")["count"].to_dict()
    assert counts == result["counts"]
    assert counts["faces"] >= COUNT - 1
    assert {path.suffix for path in (folder / "plots").iterdir()} == {".webp"}
    with Image.open(folder / "shown.webp") as shown, Image.open(folder / "plots" / "photograph-0.webp") as first:
        assert (shown.format, shown.size) == ("WEBP", first.size)
    assert (folder / "shown.webp").stat().st_size <= pictures.SMALL


def test_where_faces_are_known_what_was_found_is_measured(make: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make(pictures=False)
    annotated.annotated(profile, "people")
    found = pd.read_parquet(profile.folder / "data" / "annotated" / "people" / "faces.parquet").dropna(subset="face")
    read = annotated.readers.read

    def with_boxes(folder: Path, block: Any) -> Raw:
        """The faces that were found are the ones that there are."""
        raw = read(folder, block)
        boxes = {
            name: tuple(Box("face", *corners) for corners in rows[["x1", "y1", "x2", "y2"]].to_numpy(float).tolist())
            for name, rows in found.groupby("image_path")
        }
        return replace(raw, items={name: replace(item, boxes=boxes.get(name, ())) for name, item in raw.items.items()})

    monkeypatch.setattr(annotated.readers, "read", with_boxes)
    result = annotated.annotated(profile, "people")
    folder = profile.results("annotate-people")
    assert {metric.name for metric in FOUND} <= result["metrics"].keys()
    assert result["metrics"]["recall"] == 1
    assert {path.name for path in (folder / "tables").iterdir()} == {"counts.csv", "recall_by_count.csv", "recall_by_size.csv"}
    assert [path.name for path in (folder / "plots").iterdir()] == ["found_faces.png"]
    assert (folder / "shown.webp").exists()
    [section] = report_faces.sections(profile)
    [(who, values)] = section["measured"]["rows"]
    assert who == "ours"
    assert values[section["measured"]["head"].index("Recall")] == "100.00 %"
    assert section["figure"].startswith("data:image/webp")


def test_without_drawn_pictures_the_first_photograph_is_shown(make: Callable[..., Profile]) -> None:
    profile = make(pictures=False)
    annotated.annotated(profile, "people")
    folder = profile.results("annotate-people")
    assert list((folder / "plots").iterdir()) == []
    with Image.open(folder / "shown.webp") as shown:
        assert shown.size == (200, 200)
    [section] = report_faces.sections(profile)
    assert len(section["photographs"]) == 1, "of a result whose pictures are elsewhere the page has the one that git keeps"
