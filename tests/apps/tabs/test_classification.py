"""The classification tab's answers: those of the network on what `preprocess` would have made of the photograph."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from apps.tabs import classification
from tasks.common.errors import Error
from tasks.datasets import data, squares
from tasks.datasets.records import Item
from tasks.kinds.classify import Prepare
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.profile import Profile
from tests.conftest import ROOT

CLASSES = ("red", "green", "blue")


@pytest.fixture
def profile(make_profile: Callable[..., Profile]) -> Profile:
    """A profile whose classifier has weights of fresh numbers."""
    made = make_profile()
    configuration = describe(made, "classes", data.info(made.processed("tiny-classes")), 0)
    torch.manual_seed(0)
    weights.save(made.weights("classes"), configuration.build(), configuration)
    return made


def test_the_answer_is_the_network_s_on_the_middle_square(profile: Profile) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    choice = classification.choices(profile)["classes"]
    square, answers = classification.classify(choice, photograph)
    job = squares.Job("x.png", Item("train"), 0, photograph)
    prepared, _ = squares.middle(job, Prepare(dataset="patches", task="classify", validation=1, size=16))
    assert np.array_equal(square, prepared)
    network, _ = choice.load()
    with torch.inference_mode():
        logits = network(torch.from_numpy(prepared.copy()).permute(2, 0, 1)[None] / 255).numpy()
    expected = dict(zip(CLASSES, softmax(logits, axis=1)[0].tolist()))
    assert answers == pytest.approx(expected, abs=1e-5)
    assert list(answers.values()) == sorted(answers.values(), reverse=True)
    assert sum(answers.values()) == pytest.approx(1, abs=1e-5)


def test_of_many_classes_the_five_surest_are_shown(profile: Profile, tmp_path: Path) -> None:
    configuration = weights.configuration(profile.weights("classes"))
    many = configuration.model_copy(update={"outputs": 12, "classes": tuple(f"class {i}" for i in range(12))})
    path = tmp_path / "many.safetensors"
    weights.save(path, many.build(), many)
    choice = classification.Choice(path, "many", "a test", "tiny-classes", "cpu")
    _, answers = classification.classify(choice, np.zeros((20, 20, 3), np.uint8))
    assert len(answers) == classification.TOP
    assert set(answers) <= set(many.classes)


def test_a_network_of_grey_images_is_shown_grey_ones(profile: Profile, tmp_path: Path) -> None:
    configuration = weights.configuration(profile.weights("classes"))
    grey = configuration.model_copy(update={"inputs": 1, "mean": (0.3,), "std": (0.2,)})
    path = tmp_path / "grey.safetensors"
    weights.save(path, grey.build(), grey)
    choice = classification.Choice(path, "grey", "a test", "tiny-classes", "cpu")
    square, answers = classification.classify(choice, np.full((30, 20, 3), 90, np.uint8))
    assert square.shape == (16, 16, 1)
    assert set(answers) == set(CLASSES)


def test_embedded_classifiers_of_colour_images_are_offered_and_those_of_grey_faces_not(profile: Profile) -> None:
    folder = profile.root / "models" / "weights"
    folder.mkdir(parents=True)
    shutil.copy(profile.weights("classes"), folder / "colours.safetensors")
    shutil.copy(ROOT / "models" / "weights" / "emotion-deepface.safetensors", folder)
    assert list(classification.choices(profile)) == ["colours (embedded)", "classes"]


def test_examples_are_of_validation_with_their_labels(profile: Profile) -> None:
    found = classification.examples(profile, classification.choices(profile)["classes"])
    assert [label for _, label in found] == ["red", "blue", "blue", "blue", "blue"]
    val = data.Data(profile.processed("tiny-classes"), "val")
    assert np.array_equal(found[0][0], val.images[0])
    shutil.rmtree(profile.processed("tiny-classes"))
    assert classification.examples(profile, classification.choices(profile)["classes"]) == []


def test_weights_that_are_gone_are_said(profile: Profile) -> None:
    choice = classification.choices(profile)["classes"]
    choice.path.unlink()
    with pytest.raises(Error, match="are gone; load the page again"):
        classification.classify(choice, np.zeros((20, 20, 3), np.uint8))
