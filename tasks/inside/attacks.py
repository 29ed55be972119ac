"""Adversarial images: the smallest changes that change a network's answer, in what is saved as 8 bits.

FGSM: Goodfellow et al. 2015. PGD: Madry et al. 2018. Budgets are in levels of 255, of the largest change of a value (l-inf) or of the square
root of all squared changes (l2). Gradients flow through the network's own preprocessing.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.common.errors import Error

Norm = Literal["linf", "l2"]
# The direction (N, C, H, W) in which an attack's aim comes nearer, and which images (N,) have not reached it yet.
Slopes = tuple[Tensor, Tensor]
LEVELS = 255


def fgsm(network: nn.Module, images: Tensor, labels: Tensor, budget: int, begun: Slopes | None = None) -> Tensor:
    """One step of `budget` levels by the gradient's sign, away from the labels: uint8 (N, C, H, W) to the same."""
    return _linf(network, images, labels, budget, steps=1, stride=budget, targeted=False, begun=begun)


def pgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    budget: float,
    norm: Norm = "linf",
    steps: int = 10,
    targeted: bool = False,
    begun: Slopes | None = None,
) -> Tensor:
    """Steps along the gradient within a budget, away from the labels or, `targeted`, towards them: uint8 (N, C, H, W) to the same.

    An image of which the attack succeeded is left alone from then on. `begun`: `begin` of these images, which all attacks on them share.
    Raises Error for a network without gradients.
    """
    if norm == "linf":
        stride = max(1, round(2.5 * budget / steps))
        return _linf(network, images, labels, int(budget), steps, stride, targeted, begun)
    return _l2(network, images, labels, budget, steps, targeted, begun)


def begin(network: nn.Module, images: Tensor, labels: Tensor, targeted: bool = False) -> Slopes:
    """What each attack on uint8 images (N, C, H, W) begins with, whatever its budget. Raises Error for a network without gradients."""
    return _slopes(network, images.float(), labels, targeted)


def _linf(
    network: nn.Module, images: Tensor, labels: Tensor, budget: int, steps: int, stride: int, targeted: bool, begun: Slopes | None
) -> Tensor:
    """All steps are whole levels, so that each image on the way is one that 8 bits hold."""
    first = images.short()
    current = first.clone()
    low, high = (first - budget).clamp(min=0), (first + budget).clamp(max=LEVELS)
    left = torch.arange(len(images), device=images.device)
    for step in range(steps):
        known = begun if step == 0 else None
        slopes, waiting = known or _slopes(network, current[left].float(), labels[left], targeted)
        left, slopes = left[waiting], slopes[waiting]
        if not len(left):
            break
        moved = current[left] + stride * slopes.sign().short()
        current[left] = torch.minimum(torch.maximum(moved, low[left]), high[left])
    return current.to(torch.uint8)


def _l2(
    network: nn.Module, images: Tensor, labels: Tensor, budget: float, steps: int, targeted: bool, begun: Slopes | None
) -> Tensor:
    """Steps in floats; what is returned is rounded towards the original, which never leaves the budget, and decides who goes on."""
    first = images.float()
    change = torch.zeros_like(first)
    left = torch.arange(len(images), device=images.device)
    for step in range(steps):
        known = begun if step == 0 else None
        waiting = known[1] if known else ~succeeded(network, first[left] + change[left].trunc(), labels[left], targeted)
        left = left[waiting]
        if not len(left):
            break
        own = first[left]
        slopes = known[0][waiting] if known else _slopes(network, own + change[left], labels[left], targeted)[0]
        moved = change[left] + 2.5 * budget / steps * slopes / _lengths(slopes)
        moved = moved * (budget / _lengths(moved)).clamp(max=1)
        change[left] = (own + moved).clamp(0, LEVELS) - own
    return (first + change.trunc()).to(torch.uint8)


def _lengths(changes: Tensor) -> Tensor:
    return changes.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def _slopes(network: nn.Module, pixels: Tensor, labels: Tensor, targeted: bool) -> Slopes:
    inputs = (pixels / LEVELS).requires_grad_()
    with torch.enable_grad():
        scores = network(inputs)
        if not scores.requires_grad:
            raise Error("the network has no gradients, as nearest neighbours have none; take another network")
        (found,) = torch.autograd.grad(F.cross_entropy(scores, labels, reduction="sum"), inputs)
    return -found if targeted else found, (scores.argmax(1) == labels) != targeted


@torch.no_grad()
def succeeded(network: nn.Module, pixels: Tensor, labels: Tensor, targeted: bool) -> Tensor:
    """Of which images (N, C, H, W) in 0 to 255 the answer is, `targeted`, the label, or else another one: bool (N,)."""
    return (network(pixels.float() / LEVELS).argmax(1) == labels) == targeted


def smallest(
    network: nn.Module, images: Tensor, targets: Tensor, budgets: Sequence[int], steps: int = 20
) -> tuple[Tensor, Tensor]:
    """Images that are taken for `targets` by the smallest of rising l-inf budgets that does it, and that budget (N,); -1 where none does.

    An image that no budget changes enough is returned as the largest left it.
    """
    found, needed = images.clone(), torch.full((len(images),), -1, device=images.device)
    for budget in budgets:
        left = (needed < 0).nonzero()[:, 0]
        if not len(left):
            break
        found[left] = pgd(network, images[left], targets[left], budget, "linf", steps, targeted=True)
        done = succeeded(network, found[left], targets[left], targeted=True)
        needed[left[done]] = budget
    return found, needed
