"""Adversarial images: within their budget, in 8 bits, and the same as a slow loop's."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import models
from models import Shape
from models.layers import Standardize
from tasks.common.errors import Error
from tasks.inside import attacks


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    net = models.build("cnn", Shape(3, 5, 16), {"widths": (8, 8)}).eval()
    return nn.Sequential(Standardize((0.5,) * 3, (0.1,) * 3), net).requires_grad_(False)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def answers(network: nn.Module, images: Tensor) -> Tensor:
    return network(images.float() / 255).argmax(1)


def slow_pgd(network: nn.Module, image: Tensor, label: Tensor, budget: int, steps: int, stride: int) -> Tensor:
    """One image, in fp32, pixel by pixel as the publication says."""
    original, current = image.float(), image.float()
    for _ in range(steps):
        if network(current[None] / 255).argmax() != label:
            break
        inputs = (current[None] / 255).requires_grad_()
        F.cross_entropy(network(inputs), label[None]).backward()
        assert inputs.grad is not None
        current = current + stride * inputs.grad[0].sign()
        current = torch.min(torch.max(current, original - budget), original + budget).clamp(0, 255)
    return current.to(torch.uint8)


@pytest.mark.parametrize("budget", [1, 4, 8])
def test_many_at_once_are_what_one_after_another_is(network: nn.Module, images: Tensor, budget: int) -> None:
    labels = answers(network, images)
    found = attacks.pgd(network, images, labels, budget, steps=5)
    stride = max(1, round(2.5 * budget / 5))
    slow = torch.stack([slow_pgd(network, image, label, budget, 5, stride) for image, label in zip(images, labels)])
    assert (found != slow).float().mean() < 0.005, "but for signs of gradients that are nearly 0"
    assert torch.equal(answers(network, found), answers(network, slow))
    assert torch.equal(attacks.fgsm(network, images, labels, budget), attacks.pgd(network, images, labels, budget, steps=1))


@pytest.mark.parametrize(("norm", "budget"), [("linf", 3), ("linf", 8), ("l2", 60.0), ("l2", 300.0)])
@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_saved_stays_within_the_budget(
    network: nn.Module, images: Tensor, norm: attacks.Norm, budget: float, targeted: bool
) -> None:
    labels = (answers(network, images) + targeted) % 5
    found = attacks.pgd(network, images, labels, budget, norm, 10, targeted)
    assert found.dtype == torch.uint8
    change = (found.float() - images.float()).flatten(1)
    length = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert (length <= budget + 1e-3).all()
    assert (length > 0).all()


@pytest.mark.parametrize("targeted", [False, True])
def test_attacks_that_share_their_beginning_end_where_they_would(network: nn.Module, images: Tensor, targeted: bool) -> None:
    labels = (answers(network, images) + targeted) % 5
    labels[0] = (labels[0] + 1) % 5  # one that the attack has already succeeded with, or one more that it has not
    begun = attacks.begin(network, images, labels, targeted)
    for norm, budget in (("linf", 1), ("linf", 8), ("l2", 60.0), ("l2", 300.0)):
        alone = attacks.pgd(network, images, labels, budget, norm, 4, targeted)  # type: ignore[arg-type]
        assert torch.equal(attacks.pgd(network, images, labels, budget, norm, 4, targeted, begun), alone)  # type: ignore[arg-type]
    if not targeted:
        assert torch.equal(attacks.fgsm(network, images, labels, 4, begun), attacks.fgsm(network, images, labels, 4))


def test_a_larger_budget_fools_more_and_a_large_one_all(network: nn.Module, images: Tensor) -> None:
    labels = answers(network, images)
    left = [int((answers(network, attacks.pgd(network, images, labels, b, steps=10)) == labels).sum()) for b in (1, 8, 64)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert int((answers(network, attacks.pgd(network, images, labels, 2000.0, "l2", 10)) == labels).sum()) == 0


def test_the_smallest_budget_that_reaches_the_target(network: nn.Module, images: Tensor) -> None:
    targets = (answers(network, images) + 1) % 5
    found, needed = attacks.smallest(network, images, targets, (1, 4, 16, 64), steps=10)
    assert (needed > 0).all()
    assert torch.equal(answers(network, found), targets)
    for image, target, budget in zip(images, targets, needed):
        for smaller in [b for b in (1, 4, 16) if b < budget]:
            tried = attacks.pgd(network, image[None], target[None], smaller, steps=10, targeted=True)
            assert answers(network, tried) != target
    _, none = attacks.smallest(network, images, targets, ())
    assert none.tolist() == [-1] * 6


def test_nearest_neighbours_are_refused(images: Tensor) -> None:
    knn = models.build("knn", Shape(3, 5, 16), {}).eval()
    with pytest.raises(Error, match="no gradients"):
        attacks.fgsm(knn, images, torch.zeros(6, dtype=torch.int64), 1)
