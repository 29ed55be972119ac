"""Pictures of classes: a score that rises, one picture that does not depend on another, and works that go on where they stopped."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import models
from models import Shape
from models.mobilenet import MEAN, STD
from tasks.inside import ascent, work
from tasks.inside.ascent import PRIORS, Course, Settings

SMALL = Settings(steps=12, size=32, views=2)


@pytest.fixture
def network() -> nn.Module:
    return models.build("cnn", Shape(3, 5, 32), {"widths": (8, 8)}).eval().requires_grad_(False)


def made(prior: str, network: nn.Module, classes: list[int], settings: Settings = SMALL) -> Any:
    return PRIORS[prior](network, torch.tensor(classes), settings)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_classes_become_probable(network: nn.Module, prior: str) -> None:
    drawn = made(prior, network, [0, 3])
    before = network(drawn.picture()).softmax(1)[[0, 1], [0, 3]]
    assert [*work.steps(drawn)] == list(range(1, 13))
    picture = drawn.picture()
    assert picture.shape == (2, 3, 32, 32)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert (network(picture).softmax(1)[[0, 1], [0, 3]] > before).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_a_picture_does_not_depend_on_the_others_beside_it(network: nn.Module, prior: str) -> None:
    both, one = made(prior, network, [1, 4]), made(prior, network, [4])
    for _ in range(3):
        both.advance(), one.advance()
    assert torch.allclose(both.picture()[1], one.picture()[0], atol=1e-3)


def test_a_step_is_the_courses(network: nn.Module) -> None:
    drawn = made("course", network, [2])
    # Without a blur: those come at every tenth step.
    drawn.done = 1
    image, random = drawn.image.clone(), torch.Generator()
    random.set_state(drawn.random.get_state())
    oy, ox = torch.randint(0, Course.JITTER + 1, (2,), generator=random).tolist()
    drawn.advance()
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    shifted = torch.roll(torch.roll(image, oy, 2), ox, 3).requires_grad_()
    score = network(shifted * std + mean)[0, 2] - 1e-3 * (shifted * shifted).sum()
    score.backward()
    assert shifted.grad is not None
    moved = shifted.detach() + 25 * shifted.grad / shifted.grad.norm()
    moved = torch.roll(torch.roll(moved, -ox, 3), -oy, 2)
    expected = torch.min(torch.max(moved, -mean / std), (1 - mean) / std)
    assert torch.allclose(drawn.image, expected, atol=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
def test_interrupted_it_goes_on_to_the_same_picture(
    network: nn.Module, prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(prior, network, [1])
    assert work.finish(whole, "whole") == 0
    record, asked = tmp_path / "record", {"class": 1}
    part = made(prior, network, [1])
    advance = part.advance

    def interrupted() -> None:
        if part.done == 5:
            raise KeyboardInterrupt
        advance()

    monkeypatch.setattr(part, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.finish(part, "part", record, asked)
    assert record.exists()
    other = made(prior, network, [1])
    assert work.finish(other, "of another work", tmp_path / "none", asked) == 0
    rest = made(prior, network, [1])
    assert work.finish(rest, "rest", record, asked) == 5
    assert torch.equal(rest.picture(), whole.picture())
    assert not record.exists()


def test_a_record_of_another_work_or_a_damaged_one_is_begun_anew(network: nn.Module, tmp_path: Path) -> None:
    record = tmp_path / "record"
    part = made("course", network, [1])
    part.advance()
    work._write(record, work.key({"class": 1}), part)
    assert work.finish(made("course", network, [2]), "other", record, {"class": 2}) == 0
    record.write_bytes(b"cut off")
    assert work.finish(made("course", network, [1]), "damaged", record, {"class": 1}) == 0


def test_moving_shifts_turns_and_enlarges() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 6] = 1
    shifted = ascent.moved(image, [2 * 2 / 9, 0.0], 0.0, 1.0)
    assert shifted[0, 0, 4, 4] == pytest.approx(1, abs=1e-4)
    turned = ascent.moved(image, [0.0, 0.0], math.pi / 2, 1.0)
    assert torch.allclose(turned, torch.rot90(image, 1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, torch.rot90(image, -1, (2, 3)), atol=1e-4
    )
    same = ascent.moved(image, [0.0, 0.0], 0.0, 1.0)
    assert torch.allclose(same, image, atol=1e-5)
    larger = ascent.moved(F.interpolate(image, 18), [0.0, 0.0], 0.0, 2.0)
    assert larger.sum() > F.interpolate(image, 18).sum()


def test_another_seed_is_another_picture(network: nn.Module) -> None:
    pictures: list[Tensor] = []
    for seed in (0, 0, 1):
        drawn = made("fourier", network, [0], Settings(steps=2, size=32, views=1, seed=seed))
        work.finish(drawn, "drawn")
        pictures.append(drawn.picture())
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])
