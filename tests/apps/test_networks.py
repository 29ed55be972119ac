import shutil
from pathlib import Path

import numpy as np
import pytest

from apps import filtering, networks, photographs
from apps.tabs import classification, image_to_image
from tasks.common import files
from tasks.common.errors import Error
from tasks.learning import weights
from tasks.profile import Profile
from tests.apps.conftest import untrained_profile
from tests.conftest import ROOT


def test_the_networks_are_those_with_weights(trained: Profile, tmp_path: Path) -> None:
    assert image_to_image.choices(untrained_profile(tmp_path)) == {}
    found = image_to_image.choices(trained)
    assert list(found) == ["pairs"]
    said = found["pairs"].describe()
    for part in ("pairs, seed 0", "profile sample", "commit ", "trained on tiny-pairs (version "):
        assert part in said


def test_several_seeds_and_embedded_weights_are_offered_by_name(trained: Profile, tmp_path: Path) -> None:
    profile = untrained_profile(tmp_path)
    weights = trained.results("pairs") / "weights" / "seed-0.safetensors"
    embedded = tmp_path / "models" / "weights"
    for folder in (embedded, profile.results("pairs") / "weights"):
        folder.mkdir(parents=True)
    for seed in (10, 2):
        shutil.copy(weights, profile.results("pairs") / "weights" / f"seed-{seed}.safetensors")
    shutil.copy(weights, embedded / "tiny.safetensors")
    files.write_json(embedded / "tiny.json", {"sha256": files.sha256(weights)})
    (embedded / "broken.safetensors").write_bytes(b"nothing")
    found = image_to_image.choices(profile)
    assert list(found) == ["tiny (embedded)", "pairs, seed 2", "pairs, seed 10"]
    assert "embedded in the code" in found["tiny (embedded)"].describe()


def test_weights_of_a_later_rebuild_are_read_again(trained: Profile, tmp_path: Path) -> None:
    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    choice = image_to_image.choices(profile)["pairs"]
    assert choice.load()[0] is choice.load()[0]
    choice.path.write_bytes(b"nothing")
    with pytest.raises(Error, match="not a weights file"):
        choice.load()
    choice.path.unlink()
    with pytest.raises(Error, match="are gone; load the page again"):
        choice.load()


def test_what_there_is_to_choose_from_is_read_from_headers(
    trained: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network is built, whose libraries may take seconds to import, to learn what it is for."""

    def build(*_: object) -> None:
        raise AssertionError("a network is built")

    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    shutil.copytree(ROOT / "models" / "weights", tmp_path / "models" / "weights")
    monkeypatch.setattr(weights.Configuration, "build", build)
    assert {"emotion (embedded)", "emotion-deepface (embedded)"} <= networks.embedded(profile, "classify").keys()
    assert "face (embedded)" in networks.embedded(profile, "detect")
    assert "pairs" in image_to_image.choices(profile)
    assert "face (embedded)" not in classification.choices(profile)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the weights' files that are loaded from now on."""
    loaded: list[str] = []
    load = weights.load

    def counted(path: Path, *options: object) -> object:
        loaded.append(path.name)
        return load(path, *options)  # type: ignore[arg-type]

    networks._load.cache_clear()
    monkeypatch.setattr(weights, "load", counted)
    return loaded


@pytest.fixture
def carried(trained: Profile, tmp_path: Path) -> Profile:
    """A profile with a trained network, and those that git carries."""
    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    shutil.copytree(ROOT / "models" / "weights", tmp_path / "models" / "weights")
    return profile


def test_a_click_loads_one_network_once(carried: Profile, loads: list[str]) -> None:
    photograph = np.zeros((40, 40, 3), np.uint8)
    for _ in range(2):
        choice = image_to_image.choices(carried)["pairs"]
        choice.about()
        choice.describe()
        filtering.apply(choice, photograph, image_to_image.learned(carried, choice))
    assert loads == ["seed-0.safetensors"]
    for _ in range(2):
        classifier = classification.choices(carried)["squeezenet (embedded)"]
        classifier.about()
        classifier.describe()
        classification.examples(carried, classifier)
        classification.classify(classifier, photograph)
    assert loads == ["seed-0.safetensors", "squeezenet.safetensors"]


def test_a_classifier_can_be_tried_before_anything_is_rebuilt(carried: Profile) -> None:
    choice = classification.choices(carried)["squeezenet (embedded)"]
    photograph, _ = photographs.read(photographs.examples("photographs")["coffee"], "coffee")
    square, classes = classification.classify(choice, photograph)
    assert square.shape == (224, 224, 3)
    assert next(iter(classes)) == "espresso"


def test_what_is_said_of_embedded_weights_is_what_their_card_says(carried: Profile, tmp_path: Path) -> None:
    # The profile has an experiment of that name, on other data.
    source = carried.weights("pairs")
    embedded = tmp_path / "models" / "weights" / "pairs.safetensors"
    network, configuration = weights.load(source)
    weights.save(embedded, network, configuration, {"profile": "full", "dataset": "coco-mini"})
    files.write_json(embedded.with_suffix(".json"), {"sha256": files.sha256(embedded)})
    choice = image_to_image.choices(carried)["pairs (embedded)"]
    assert "trained on coco-mini (version" in choice.describe()
    weights.save(embedded, network, configuration, {"profile": carried.name, "dataset": "photos"})
    files.write_json(embedded.with_suffix(".json"), {"sha256": files.sha256(embedded)})
    assert "trained on tiny-pairs (version" in image_to_image.choices(carried)["pairs (embedded)"].describe()


def test_damaged_weights_are_not_used(carried: Profile, tmp_path: Path) -> None:
    file = tmp_path / "models" / "weights" / "squeezenet.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(Error, match="damaged"):
        classification.choices(carried)["squeezenet (embedded)"].load()
