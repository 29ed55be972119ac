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
from tasks.learning.distillation import Taught, taught
from torch import nn

import models
from tasks import config
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.evaluate import evaluate
from tasks.learning import training, weights
from tasks.learning.optimizers import Update
from tasks.params.experiment import Student, Train
from tasks.profile import Profile
from tasks.train import train

MakeProfile = Callable[..., Profile]
KNOWN = {"loss": "cross-entropy", "epochs": 1, "batch_size": 8, "optimizer": {"name": "sgd", "lr": 0.1}}


def with_student(profile: Profile, **changes: Any) -> Profile:
    """The profile with a student, narrower than its teacher `classes`."""
    file = profile.folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    block = json.loads(json.dumps(params["experiments"]["classes"]))
    block["architecture"] = {"widths": [4, 4]}
    block["train"] |= changes
    params["students"] = {"student": {**block, "teacher": {"experiment": "classes"}}}
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
    assert record["teacher"] == "classes"
    network, configuration = weights.load(folder / "weights" / "seed-0.safetensors")
    assert configuration.architecture == {"widths": [4, 4]}
    assert record["parameters"] == models.count_parameters(network) < models.count_parameters(weights.load(teacher[1])[0])
    assert evaluate(profile, "student")["metrics"]["accuracy"] > 0.6


def test_no_label_is_learned(teacher: tuple[Profile, Path]) -> None:
    """With every label wrong the same weights come out."""
    profile = with_student(teacher[0])
    folder = profile.processed("tiny-classes")
    info, device = data.info(folder), torch.device("cpu")
    val = training.Examples.of(data.Data(folder, "val"), info.task, device)
    right = training.Examples.of(data.Data(folder, "train"), info.task, device)
    wrong = training.Examples(right.images, (right.targets + 1) % 3)
    results = []
    for examples in (right, wrong):
        torch.manual_seed(0)
        network = models.build("cnn", models.Shape(3, 3, 16), {"widths": [4, 4]})
        learner = Taught(network, weights.load(teacher[1])[0], 1.0)
        training.fit(learner, examples, val, info, profile.experiment("student").train, 0)
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
    inputs, targets = torch.randn(8, 5), torch.zeros(8, dtype=torch.int64)
    lengths = {}
    for name, learner in (("same", network), ("other", other)):
        pupil = Taught(learner, teacher, temperature)
        update = Update(learner, Train.model_validate(KNOWN), 1)
        pupil.training_step(inputs, targets, {"network": update})  # type: ignore[arg-type]
        lengths[name] = sum(float(p.grad.norm()) for p in learner.parameters() if p.grad is not None)
    assert lengths["same"] < 1e-5
    assert lengths["other"] > 1e-2


def test_a_mirrored_teacher_answers_an_image_and_its_mirror_image_alike() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    inputs, targets = torch.randn(8, 3, 2, 2), torch.zeros(8, dtype=torch.int64)
    losses: list[torch.Tensor] = []
    for images in (inputs, inputs.flip(3)):
        pupil = Taught(network, teacher, 1.0, mirrored=True)
        with torch.no_grad():
            mean = (teacher(images) + teacher(images.flip(3))) / 2
            expected = nn.functional.cross_entropy(network(images), mean.softmax(1))
        taken: dict[str, Any] = {"network": losses.append}
        found = pupil.training_step(images, targets, taken)["loss"]  # type: ignore[arg-type]
        torch.testing.assert_close(found.detach(), expected)
    assert len(losses) == 2


def test_the_teacher_stays_as_it_was(teacher: tuple[Profile, Path]) -> None:
    network, _ = weights.load(teacher[1])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learner = Taught(models.build("cnn", models.Shape(3, 3, 16), {"widths": [4, 4]}), network, 2.0)
    assert set(learner.state_dict()) == {f"network.{key}" for key in learner.network.state_dict()}
    recipe = Train.model_validate(KNOWN)
    learner.train()
    learner.training_step(torch.rand(8, 3, 16, 16), torch.zeros(8), training.Updates(learner, recipe, 1))
    assert not network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_wrong_teacher_is_refused_before_training(teacher: tuple[Profile, Path]) -> None:
    profile = with_student(teacher[0])
    with pytest.raises(Error, match="training step of its own"):
        own, info = models.build("knn", models.Shape(3, 3, 16), {}), data.info(profile.processed("tiny-classes"))
        taught(own, teacher[1], profile.experiment("student"), info, torch.device("cpu"))  # type: ignore[arg-type]
    described = profile.processed("tiny-classes") / "dataset.json"
    text = described.read_text()
    described.write_text(text.replace(data.info(described.parent).hash, "f" * 64))
    with pytest.raises(Error, match=r"trained on other data .* dvc repro train@classes"):
        train(profile, "student")
    described.write_text(text)
    shutil.rmtree(teacher[1].parent)
    with pytest.raises(Error, match="train the teacher first: dvc repro train@classes"):
        train(profile, "student")
    assert not profile.results("student").exists()


def test_another_teacher_is_another_training(teacher: tuple[Profile, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a student whose teacher was trained again is not gone on with."""
    profile = with_student(teacher[0], epochs=2)
    keys = []
    real = training.fit
    monkeypatch.setattr(training, "fit", lambda *a, **k: (keys.append(k["fingerprint"]), real(*a, **k))[1])
    train(profile, "student")
    train(profile, "student")
    network, configuration = weights.load(teacher[1])
    weights.save(teacher[1], network, configuration.model_copy(update={"seed": 1}))
    train(profile, "student")
    assert keys[0] == keys[1] != keys[2]


def test_a_teacher_that_has_seen_validation_leaves_nothing_held_out(make_profile: MakeProfile) -> None:
    profile = make_profile(split="train+val")
    path = train(profile, "classes") / "weights" / "seed-0.safetensors"
    with pytest.raises(Error, match=r"students.student.train.split: its teacher has seen validation"):
        with_student(profile, split="train")
    # What stands in params.yaml may be younger than the weights.
    profile = with_student(profile, split="train+val")
    student = profile.experiment("student")
    student = student.model_copy(update={"train": student.train.model_copy(update={"split": "train"})})
    own, info = models.build("cnn", models.Shape(3, 3, 16), {"widths": [4]}), data.info(profile.processed("tiny-classes"))
    with pytest.raises(Error, match="may have seen validation"):
        taught(own, path, student, info, torch.device("cpu"))  # type: ignore[arg-type]
    train(profile, "student")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"teacher": {"experiment": "clases"}},
            "students.student.teacher.experiment: unknown experiment 'clases'; did you mean classes",
        ),
        ({"data": "tiny-pairs"}, "students.student"),
        ({"train": {"label_smoothing": 0.1}}, "no label is learned"),
        ({"train": {"loss": "hinge"}}, "no label is learned"),
        ({"teacher": {"temperature": 0}}, "students.student.teacher.temperature"),
    ],
)
def test_a_student_that_cannot_be_is_refused(make_profile: MakeProfile, change: dict[str, Any], message: str) -> None:
    profile = with_student(make_profile())
    with pytest.raises(Error, match=message):
        config.load(profile.folder, {"students": {"student": change}})


def test_a_changed_student_is_found_by_its_name(make_profile: MakeProfile) -> None:
    profile = with_student(make_profile())
    changed = config.load(profile.folder, config.changes(profile.folder, "student", {"teacher": {"temperature": 3}}))
    student = changed.experiment("student")
    assert isinstance(student, Student)
    assert student.teacher.temperature == 3
    assert changed.experiments == ["classes", "pairs", "student"]
