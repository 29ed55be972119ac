"""A photograph of one's own that a network takes for another thing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.common import bars
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.imaging.images import write_png
from tasks.inside import attacks
from tasks.inside.classes import find_class
from tasks.kinds.translate.metrics import per_image
from tasks.looks.asked import Looked, beside, check_out, check_size, described, find_network, photograph
from tasks.profile import Profile

BUDGETS = (1, 2, 3, 4, 6, 8)
# The best five are no targets: some of them are what is seen.
BEST = 5


def fool(
    looked: Looked, square: np.ndarray, label: str | None, budgets: Sequence[int], steps: int = 20, seed: int = 0
) -> tuple[np.ndarray, dict[str, Any]]:
    """The square, changed by the smallest of rising budgets that has it taken for `label`, uint8 (H, W, C), and the numbers of the change.

    `label`: a class; by default one that is drawn at random and not among the best five. Raises Error for a class that is not there, or
    that is what the network sees already.
    """
    images = torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1)[None].to(looked.device)
    before = looked.scores(images.float() / attacks.LEVELS)
    seen = int(before.argmax())
    if label is not None:
        target = find_class(looked.configuration, label)
        if target == seen:
            raise Error(f"{label}: what the network sees already; name another class")
    else:
        order = before.argsort(descending=True)
        least = min(BEST, len(order) - 1)
        target = int(order[np.random.default_rng(seed).integers(least, len(order))])
    targets = torch.tensor([target], device=looked.device)
    found, reached = images, -1
    for budget in bars.track(list(budgets), "budgets"):
        found = attacks.pgd(looked.network, images, targets, budget, "linf", steps, targeted=True)
        if bool(attacks.succeeded(looked.network, found, targets, targeted=True)):
            reached = budget
            break
    changed = found[0].permute(1, 2, 0).cpu().numpy()
    after = looked.scores(found.float() / attacks.LEVELS)
    change = changed.astype(int) - square
    return changed, {
        "seen": looked.names[seen],
        "target": looked.names[target],
        "reached": reached > 0,
        "budget": reached if reached > 0 else None,
        "budgets": [*budgets],
        "steps": steps,
        "linf": int(np.abs(change).max()),
        "l2": float(np.sqrt(np.square(change).sum())),
        "ssim": float(per_image(changed[None], square[None])["ssim"].iloc[0]),
        "before": looked.top(before),
        "after": looked.top(after),
    }


def amplified(square: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """The change between two pictures, uint8 (H, W, C): grey where there is none, its largest black or white."""
    change = changed.astype(int) - square
    return (127.5 + 127.5 * change / max(1, np.abs(change).max())).astype(np.uint8)


def adversarial(
    profile: Profile,
    network: str,
    photograph_: Path,
    out: Path,
    label: str | None = None,
    budget: int = BUDGETS[-1],
    steps: int = 20,
    size: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write what the network takes for `label`, and beside it the amplified change (name-change.png); return what was done.

    The picture is the photograph's middle square at the size that the network sees: any other size would be resized, and the change with it.
    Raises Error for what does not exist or does not fit, before any work.
    """
    change = beside(out, "change")
    check_out(out, photograph_, second=change)
    if not 1 <= budget <= attacks.LEVELS:
        raise Error(f"budget: {budget}, but allowed are 1 to {attacks.LEVELS} levels")
    looked = find_network(profile, network)
    wanted = check_size(size or looked.configuration.size)
    looked.check_size(wanted)
    pixels = photograph(photograph_)
    square = looked.square(pixels, wanted)
    budgets = [*(b for b in BUDGETS if b < budget), budget]
    changed, numbers = fool(looked, square, label, budgets, steps, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(out, changed)
    write_png(change, amplified(square, changed))
    done = {
        "study": "adversarial",
        "network": network,
        "weights": looked.digest,
        "photograph": described(photograph_, pixels),
        "size": wanted,
        **numbers,
        "seed": seed,
    }
    write_json(out.with_suffix(".json"), done)
    return done
