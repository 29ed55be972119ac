"""A student learns a teacher's answers, and nothing else of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import models
from tasks import config
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.evaluate import evaluate
from tasks.kinds.classify import Recipe, Teacher, distillation
from tasks.kinds.classify.objective import Objective
from tasks.learning import loop, weights
from tasks.learning.building import predecessor_network
from tasks.learning.optimizers import Update, Updates
from tasks.learning.tensors import Examples
from tasks.profile import Profile
from tasks.train import train
from tests.tasks.training import CPU, ready

MakeProfile = Callable[..., Profile]
KNOWN = {"loss": "cross-entropy", "epochs": 1, "batch_size": 8, "optimizer": {"name": "sgd", "lr": 0.1}}


def with_student(profile: Profile, **changes: Any) -> Profile:
    """The profile with a student, narrower than its teacher `classes`."""
    file = profile.folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    block = json.loads(json.dumps(params["experiments"]["classes"]))
    block["architecture"] = {"widths": [4, 4]}
    block["train"] |= {"teacher": {}, **changes}
    params["experiments"]["student"] = {**block, "after": "classes"}
    file.write_text(yaml.safe_dump(params))
    return config.load(profile.folder)


@pytest.fixture
def teacher(make_profile: MakeProfile) -> tuple[Profile, Path]:
    profile = make_profile(epochs=4)
    return profile, train(profile, "classes") / "weights" / "seed-0.safetensors"


def test_a_student_is_trained_and_measured_as_any_other(teacher: tuple[Profile, Path]) -> None:
    profile = with_student(teacher[0], epochs=8, ema=0.5, augment={"flip": True, "mixup": 0.2})
    folder = train(profile, "student")
    record = json.loads((folder / "training.json").read_text())
    assert record["after"] == "classes"
    network, configuration = weights.load(folder / "weights" / "seed-0.safetensors")
    assert configuration.architecture == {"widths": [4, 4]}
    assert record["parameters"] == models.count_parameters(network) < models.count_parameters(weights.load(teacher[1])[0])
    assert evaluate(profile, "student")["metrics"]["accuracy"] > 0.6


def test_no_label_is_learned(teacher: tuple[Profile, Path]) -> None:
    """With every label wrong the same weights come out."""
    profile = with_student(teacher[0])
    results = []
    for shift in (0, 1):
        network, right, val, objective = ready(profile, "student", predecessor=weights.load(teacher[1])[0])
        examples = Examples({"images": right.images, "targets": (right.targets + shift) % 3})
        loop.fit(network, examples, val, objective, 0)
        results.append(network.state_dict())
    for key, value in results[0].items():
        torch.testing.assert_close(value, results[1][key], atol=0, rtol=0)


@given(temperature=st.floats(0.5, 8), seed=st.integers(0, 99))
def test_a_student_that_is_its_teacher_has_no_more_to_learn(temperature: float, seed: int) -> None:
    """The cross-entropy of p with itself is its least. And at any temperature the gradient keeps its scale (section 2.1)."""
    torch.manual_seed(seed)
    network, other = nn.Linear(5, 3), nn.Linear(5, 3)
    teacher = nn.Linear(5, 3)
    teacher.load_state_dict(network.state_dict())
    inputs = torch.randn(8, 5)
    lengths = {}
    for name, learner in (("same", network), ("other", other)):
        loss = distillation.loss(learner, teacher, inputs, Teacher(temperature=temperature))
        Update(learner, Recipe.model_validate(KNOWN).of_part("network"), 1)(loss)
        lengths[name] = sum(float(p.grad.norm()) for p in learner.parameters() if p.grad is not None)
    assert lengths["same"] < 1e-5
    assert lengths["other"] > 1e-2


def test_a_mirrored_teacher_answers_an_image_and_its_mirror_image_alike() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    inputs = torch.randn(8, 3, 2, 2)
    for images in (inputs, inputs.flip(3)):
        with torch.no_grad():
            mean = (teacher(images) + teacher(images.flip(3))) / 2
            expected = nn.functional.cross_entropy(network(images), mean.softmax(1))
        found = distillation.loss(network, teacher, images, Teacher(mirrored=True))
        torch.testing.assert_close(found.detach(), expected)


def test_the_teacher_stays_as_it_was(teacher: tuple[Profile, Path]) -> None:
    network, _ = weights.load(teacher[1])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    student, _, _, objective = ready(with_student(teacher[0]), "student", predecessor=network)
    own = {key: value.clone() for key, value in student.state_dict().items()}
    student.train()
    updates = Updates(student, objective.recipe, 1)
    objective.step(torch.rand(8, 3, 16, 16), torch.zeros(8, dtype=torch.int64), updates)
    assert not network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert any(not torch.equal(value, own[key]) for key, value in student.state_dict().items()), "the student has learned"


def test_a_wrong_teacher_is_refused_before_training(teacher: tuple[Profile, Path]) -> None:
    profile = with_student(teacher[0])
    info = data.info(profile.processed("tiny-classes"))
    with pytest.raises(Error, match="training step of its own"):
        Objective(profile.experiment("student").train, info, models.build("knn", models.Shape(3, 3, 16), {}), "fp32")
    described = profile.processed("tiny-classes") / "dataset.json"
    text = described.read_text()
    described.write_text(text.replace(info.hash, "f" * 64))
    with pytest.raises(Error, match=r"trained on other data .* dvc repro train@classes"):
        train(profile, "student")
    described.write_text(text)
    shutil.rmtree(teacher[1].parent)
    with pytest.raises(Error, match="train classes first: dvc repro train@classes"):
        train(profile, "student")
    assert not profile.results("student").exists()


def test_another_teacher_is_another_training(teacher: tuple[Profile, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a student whose teacher was trained again is not gone on with."""
    profile = with_student(teacher[0], epochs=2)
    keys = []
    real = loop.fit
    monkeypatch.setattr(loop, "fit", lambda *a, **k: (keys.append(k["fingerprint"]), real(*a, **k))[1])
    train(profile, "student")
    train(profile, "student")
    network, configuration = weights.load(teacher[1])
    weights.save(teacher[1], network, configuration.model_copy(update={"seed": 1}))
    train(profile, "student")
    assert keys[0] == keys[1] != keys[2]


def test_a_teacher_that_has_seen_validation_leaves_nothing_held_out(make_profile: MakeProfile) -> None:
    profile = make_profile(split="train+val")
    path = train(profile, "classes") / "weights" / "seed-0.safetensors"
    with pytest.raises(Error, match=r"experiments\.student\.train\.split: classes has seen validation"):
        with_student(profile, split="train")
    # What stands in params.yaml may be younger than the weights.
    profile = with_student(profile, split="train+val")
    info = data.info(profile.processed("tiny-classes"))
    with pytest.raises(Error, match="may have seen validation"):
        predecessor_network(path, info, "train", CPU)
    train(profile, "student")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"after": "clases"}, r"experiments\.student\.after: unknown experiment 'clases'; did you mean classes"),
        ({"after": "student"}, r"experiments\.student\.after: an experiment cannot name itself"),
        ({"after": "none"}, r"experiments\.student\.train\.teacher: .* give both of them, or none"),
        ({"train": {"teacher": None}}, r"experiments\.student\.train\.teacher: .* give both of them, or none"),
        ({"data": "tiny-pairs"}, r"experiments\.student"),
        ({"train": {"label_smoothing": 0.1}}, "no label is learned"),
        ({"train": {"loss": "hinge"}}, "no label is learned"),
        ({"train": {"teacher": {"temperature": 0}}}, r"experiments\.student\.train\.teacher\.temperature"),
    ],
)
def test_a_student_that_cannot_be_is_refused(make_profile: MakeProfile, change: dict[str, Any], message: str) -> None:
    profile = with_student(make_profile())
    with pytest.raises(Error, match=message):
        config.load(profile.folder, {"experiments": {"student": change}})


def test_a_changed_student_is_found_by_its_name(make_profile: MakeProfile) -> None:
    profile = with_student(make_profile())
    changed = config.load(profile.folder, {"experiments": {"student": {"train": {"teacher": {"temperature": 3}}}}})
    student = changed.experiment("student")
    assert isinstance(student.train, Recipe)
    assert student.train.teacher is not None
    assert student.train.teacher.temperature == 3
    assert [*changed.params.experiments] == ["classes", "pairs", "student"]
