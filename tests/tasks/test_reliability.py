"""Training, evaluation, calibration, reliability and promotion of a small network of emotions, on faces made here."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tasks import config
from tasks.calibrate import SIDES, SIGMAS, calibrate, main
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets.data import Info
from tasks.evaluate import evaluate
from tasks.faces.calibration import Calibration
from tasks.faces.emotions import EMOTIONS, SIZE, Emotions
from tasks.learning import weights
from tasks.promote import promote, recalibrate
from tasks.reliability import reliability
from tasks.report import report
from tasks.train import train


def write_faces(folder: Path) -> None:
    """Grey squares whose fine stripes lie in one of seven places, which blur hides; some are faint."""
    rng = np.random.default_rng(0)
    counts = {"train": 560, "val": 280, "test": 280}
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        images = rng.integers(100, 156, (count, SIZE, SIZE, 1), dtype=np.uint8)
        labels = np.arange(count) % 7
        for image, label, strength in zip(images, labels, rng.integers(0, 80, count)):
            image[:, 6 * label + 2 : 6 * label + 8 : 2] += np.uint8(strength)
            image[:, 6 * label + 3 : 6 * label + 9 : 2] -= np.uint8(strength)
        np.save(folder / split / "images.npy", images)
        pd.DataFrame({"file": "x.png", "width": SIZE, "height": SIZE, "label": labels}).to_parquet(
            folder / split / "index.parquet"
        )
    info = Info(
        name=folder.name, dataset="fer2013", task="classify", origin="url", licence="test", size=SIZE, channels=1, classes=EMOTIONS,
        counts=counts, mean=(0.5,), std=(0.1,), skipped=0, hash=hashlib.sha256(b"faces").hexdigest(), settings={},
    )  # fmt: skip
    write_json(folder / "dataset.json", info.model_dump())


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> config.Profile:
    """A profile whose only experiment is trained, evaluated and calibrated."""
    folder = tmp_path_factory.mktemp("faces")
    params = {
        "root": ".",
        "device": "cpu",
        "download": {"fer2013": {}},
        "preprocess": {"faces": {"dataset": "fer2013", "task": "classify"}},
        "calibrate": {"small": {}},
        "experiments": {
            name: {
                "system": "emotion-compact",
                "data": "faces",
                "network": "linear",
                "architecture": {},
                "train": {
                    "epochs": 3,
                    "batch_size": 32,
                    "loss": "cross-entropy",
                    "optimizer": {"name": "adam", "lr": 0.01},
                },
                "seeds": [0],
                "published": [],
            }
            for name in ("small", "untrained")
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    write_faces(folder / "data" / "processed" / "faces")
    made = config.load(folder)
    train(made, "small")
    evaluate(made, "small")
    calibrate(made, "small")
    return made


def test_the_choice_is_made_on_validation_alone(profile: config.Profile, tmp_path: Path) -> None:
    test = profile.processed("faces") / "test"
    hidden = test.rename(test.with_name("hidden"))
    try:
        chosen = calibrate(profile, "small", tmp_path)
    finally:
        hidden.rename(test)
    assert chosen == Calibration.model_validate_json((profile.results("small") / "calibration.json").read_bytes())
    assert 0.5 < chosen.coverage < 1
    assert chosen.threshold > 1 / 7
    assert chosen.conditions is not None
    assert min(chosen.conditions.threshold) >= chosen.threshold
    assert chosen.temperature != 1
    # In a mirror these faces are those of other emotions.
    assert not chosen.mirrored


def test_the_command_says_what_was_chosen(
    profile: config.Profile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(profile.folder)
    main("small")
    chosen = Calibration.model_validate_json((profile.results("small") / "calibration.json").read_bytes())
    assert f"calibrated small: temperature {chosen.temperature:.4g}, threshold {chosen.threshold:.4g}" in capsys.readouterr().err


def test_trust_is_measured_on_test(profile: config.Profile) -> None:
    result = reliability(profile, "small")
    folder = profile.results("small")
    assert json.loads((folder / "reliability.json").read_text()) == result
    scores = result["metrics"]
    assert scores["accuracy"] > 0.5
    assert scores["accuracy"] == pytest.approx(json.loads((folder / "metrics.json").read_text())["metrics"]["accuracy"], abs=0.02)
    assert scores["accuracy_certain"] >= scores["accuracy"]
    assert {path.name for path in (folder / "reliability").iterdir()} == {
        "bins.csv", "coverage.csv", "worsened.csv", "calibration.png", "robustness.png"
    }  # fmt: skip
    table = pd.read_csv(folder / "reliability" / "worsened.csv").set_index(["sigma", "side"])
    assert table.loc[(3.0, SIZE), "accuracy"] < table.loc[(0.0, SIZE), "accuracy"] - 0.05
    assert table.loc[(3.0, SIZE), "sharpness"] < table.loc[(0.0, SIZE), "sharpness"]
    assert table.loc[(3.0, SIZE), "blurred"] > 0.8
    assert table.loc[(0.0, SIZE), "small"] == 0
    # What blur hides gets no answer, and what it leaves is as sure as it is right.
    assert table.loc[(3.0, SIZE), "uncertain"] > 0.9
    assert table.loc[(0.0, SIZE), "uncertain"] < 0.5
    assert result["ways"].keys() == {
        f"{side} px" + (f", blurred {sigma:g}" if sigma else "") for side in SIDES for sigma in SIGMAS
    }
    own = result["ways"]["48 px"]
    assert (own["accuracy"], own["accuracy_certain"]) == (scores["accuracy"], scores["accuracy_certain"])
    assert result["worst"]["ece"] == max(way["ece"] for way in result["ways"].values())
    assert result["worst"]["accuracy_certain"] > 0.5
    assert table.loc[(0.0, 12), "small"] == 1


def test_the_page_shows_it(profile: config.Profile) -> None:
    reliability(profile, "small")
    page = report(profile).read_text()
    assert "before and after calibration" in page
    assert "Faces with an answer" in page


def test_the_page_shows_peers_beside_it(profile: config.Profile) -> None:
    other = {
        "experiment": "peer-published",
        "task": "classify",
        "dataset": "fer2013",
        "metrics": {"accuracy": 0.1234},
        "parameters": 58423,
    }
    folder = profile.results("peer-published")
    try:
        write_json(folder / "metrics.json", other)
        page = report(profile).read_text()
        assert "published, measured here" in page
        assert "12.34" in page
        write_json(folder / "metrics.json", other | {"dataset": "another"})
        assert "measured here" not in report(profile).read_text()
    finally:
        shutil.rmtree(folder)


def test_a_promoted_result_carries_what_was_measured(profile: config.Profile, tmp_path: Path) -> None:
    whole = load_file(promote(profile, "small", "whole", to=tmp_path))
    assert {tensor.dtype for tensor in whole.values()} <= {torch.float32, torch.int64}, "small files stay exact"
    path = promote(profile, "small", "faces", half=True, to=tmp_path)
    assert path == tmp_path / "faces.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card.pop("sha256") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card == weights.card(path)
    assert (card["experiment"], card["dataset"], card["n_test"]) == ("small", "fer2013", 280)
    assert weights.configuration(path).experiment == "small"
    # Another experiment has the same network and the same data: its name is answered to.
    other = promote(profile, "small", "untrained", to=tmp_path)
    assert weights.configuration(other).experiment == "untrained"
    assert weights.card(other)["experiment"] == "small"
    measured = Calibration.model_validate_json((profile.results("small") / "calibration.json").read_bytes())
    promoted = Emotions.load(path)
    assert promoted.calibration == measured
    original = Emotions.load(profile.results("small") / "weights" / "seed-0.safetensors")
    assert original.temperature == 1
    faces = list(np.random.default_rng(1).integers(0, 256, (5, 60, 50, 3), np.uint8))
    # Half the precision of the weights, which is less than an answer's.
    np.testing.assert_allclose(promoted.logits(faces), original.logits(faces), atol=0.1)


def test_a_new_calibration_goes_into_weights_that_were_promoted(profile: config.Profile, tmp_path: Path) -> None:
    path = promote(profile, "small", to=tmp_path)
    before, card = load_file(path), weights.card(path)
    kept = (profile.results("small") / "calibration.json").read_text()
    try:
        write_json(profile.results("small") / "calibration.json", {"temperature": 2.0})
        assert recalibrate(profile, "small", to=tmp_path) == path
    finally:
        (profile.results("small") / "calibration.json").write_text(kept)
    assert Emotions.load(path).calibration == Calibration(temperature=2.0)
    assert weights.card(path) == card | {"calibration": {"temperature": 2.0}}
    after = load_file(path)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    other = json.loads((profile.results("small") / "training.json").read_text())
    try:
        write_json(profile.results("small") / "training.json", other | {"git_commit": "another"})
        with pytest.raises(Error, match="not the weights that"):
            recalibrate(profile, "small", to=tmp_path)
    finally:
        write_json(profile.results("small") / "training.json", other)


def test_what_is_missing_is_said(profile: config.Profile, tmp_path: Path) -> None:
    with pytest.raises(Error, match="calibrate: no 'untrained' there; allowed: small"):
        calibrate(profile, "untrained")
    with pytest.raises(Error, match="dvc repro calibrate@untrained"):
        reliability(profile, "untrained")
    with pytest.raises(Error, match="dvc repro evaluate@untrained"):
        promote(profile, "untrained", to=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_other_weights_are_not_promoted(profile: config.Profile, tmp_path: Path) -> None:
    path = profile.results("small") / "metrics.json"
    kept = path.read_text()
    try:
        write_json(path, json.loads(kept) | {"train_seconds": -1.0})
        with pytest.raises(Error, match="measured with other weights"):
            promote(profile, "small", to=tmp_path)
    finally:
        path.write_text(kept)


def test_calibrate_names_an_experiment(profile: config.Profile) -> None:
    with pytest.raises(Error, match=r"calibrate\.smal: unknown experiment 'smal'; did you mean small"):
        config.load(profile.folder, {"calibrate": {"smal": {}}})
