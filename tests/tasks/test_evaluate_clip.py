"""Weights that were trained elsewhere, measured on our data."""

import json
from pathlib import Path

import pytest
import yaml

from tasks import config, evaluate_clip, kinds
from tasks.common.errors import Error
from tasks.finding.encoders import Ours
from tests.tasks.finding.conftest import COLOURS, learned
from tests.tasks.kinds.embed.conftest import prepared


@pytest.fixture
def profile(tmp_path: Path) -> config.Profile:
    params = {
        "root": ".",
        "device": "cpu",
        "download": {"photos": {}},
        "preprocess": {
            "colours": {"dataset": "photos", "task": "embed", "size": 32, "objects": {name: [name] for name in COLOURS}},
            "pairs": {"dataset": "photos", "task": "translate", "size": 16},
        },
        "experiments": {},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    prepared(tmp_path / "data" / "processed" / "colours")
    return config.load(tmp_path, experiments=False)


def test_the_numbers_are_those_of_the_kind(
    profile: config.Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = learned(tmp_path / "colours.safetensors")
    found = evaluate_clip.measure(profile, "colours", Ours(weights, "cpu"))
    # A sentence of each image is one of its colour alone; the other has unknown words, which are left out.
    assert found == dict.fromkeys({*kinds.metrics("embed")} - {"loss"}, 1.0)
    monkeypatch.chdir(profile.folder)
    evaluate_clip.main("colours", str(weights), None, "val", tmp_path / "out.json")
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((tmp_path / "out.json").read_bytes())["metrics"]
    assert "measured colours (colours.safetensors) on val of colours" in said.err


def test_data_of_another_kind_are_refused(profile: config.Profile, tmp_path: Path) -> None:
    encoder = Ours(learned(tmp_path / "colours.safetensors"), "cpu")
    with pytest.raises(Error, match="data of the task translate"):
        evaluate_clip.measure(profile, "pairs", encoder)
    with pytest.raises(Error, match="did you mean colours"):
        evaluate_clip.measure(profile, "colour", encoder)
