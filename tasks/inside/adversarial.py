"""What the study of adversarial images measures and draws."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from torch import Tensor, nn

from tasks.common import bars
from tasks.common.errors import Error
from tasks.datasets.data import Data
from tasks.imaging import figures
from tasks.inside import CLASSIFIERS, attacks, backbones
from tasks.kinds.classify import data as classification
from tasks.kinds.translate.metrics import per_image
from tasks.studies.adversarial import Block

BATCH = 100
# The best five are no targets: some of them are what is seen.
BEST = 5
LINES = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "pgd_l2": "PGD in l2",
    "other": "PGD, the other network",
    "reached": "taken for its target",
}
Attack = Callable[..., Tensor]


def measure(name: str, studied: Any, out: Any) -> Mapping[str, float]:
    """Numbers, tables and figures of `tasks.studies.adversarial`."""
    block: Block = studied.block.settings()
    if "network" not in studied.networks:
        raise Error(f"studies.{name}: names no network; give `network` (an experiment) or `embedded`")
    for network, configuration in studied.networks.values():
        if configuration.task != CLASSIFIERS:
            raise Error(f"studies.{name}: {configuration.experiment} is no classifier; an attack changes the answer of one")
        network.requires_grad_(False)
    network, configuration = studied.networks["network"]
    labelled = studied.info.task == CLASSIFIERS and configuration.classes == studied.info.classes
    data = Data(studied.data, "test" if labelled else "val")
    pixels = np.array(data.images[: block.images])
    if pixels.shape[-1] != configuration.inputs:
        raise Error(
            f"studies.{name}: images of {pixels.shape[-1]} channels, and a network that takes {configuration.inputs}; name other data"
        )
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(studied.device)
    names = configuration.classes or tuple(map(str, range(configuration.outputs)))
    if labelled:
        labels = torch.from_numpy(classification.labels(data)[: len(images)]).to(studied.device)
        table, found, metrics = _accuracies(network, studied.networks.get("other"), images, labels, block)
    else:
        table, found, metrics = _targeted(network, images, block, out, names)
    out.table("budgets", table)
    changed = found.permute(0, 2, 3, 1).cpu().numpy()
    similar = per_image(changed, pixels)["ssim"].to_numpy()
    before, after = answers(network, images), answers(network, found)
    figures.save(_strip(pixels, changed, similar, names, before, after), out.plots / "strip.png")
    figures.save(_curve(table), out.plots / "curve.png")
    return {
        **metrics,
        **of_change(images, found, before, after),
    }


def of_change(images: Tensor, found: Tensor, before: Tensor, after: Tensor) -> dict[str, float]:
    """How much uint8 images (N, C, H, W) were changed, and how many answers (N,) were."""
    changes = (found.float() - images.float()).flatten(1)
    pictures = [of.permute(0, 2, 3, 1).cpu().numpy() for of in (found, images)]
    return {
        "changed": float((before != after).float().mean()),
        "mean_linf": float(changes.abs().amax(1).mean()),
        "mean_l2": float(changes.norm(dim=1).mean()),
        "ssim": float(per_image(*pictures)["ssim"].mean()),
    }


@torch.no_grad()
def answers(network: nn.Module, images: Tensor) -> Tensor:
    """The most probable classes (N,) of uint8 images (N, C, H, W)."""
    return torch.cat([network(part.float() / attacks.LEVELS).argmax(1) for part in images.split(BATCH)])


def _accuracies(
    network: nn.Module, other: tuple[nn.Module, Any] | None, images: Tensor, labels: Tensor, block: Block
) -> tuple[pd.DataFrame, Tensor, dict[str, float]]:
    """Accuracy a budget and attack, the images of PGD at the largest budget, and the numbers."""

    def share(of: Tensor) -> float:
        return float((of == labels).float().mean())

    before = answers(network, images)
    parts = (before == labels).nonzero()[:, 0].split(BATCH)
    attacked = [(part, images[part], labels[part]) for part in parts]
    begun = [attacks.begin(network, pixels, right) for _, pixels, right in attacked]

    def under(attack: Attack) -> tuple[Tensor, Tensor]:
        """The images after an attack, and the answers; those that were wrong before are left as they are."""
        found, after = images.clone(), before.clone()
        for (part, pixels, right), first in zip(attacked, begun):
            found[part] = attack(network, pixels, right, begun=first)
            after[part] = answers(network, found[part])
        return found, after

    clean = share(before)
    rows: list[dict[str, Any]] = [
        {"budget": 0, "fgsm": clean, "pgd": clean, "pgd_l2": clean, **of_change(images, images, before, before)}
    ]
    found = images
    for budget in bars.track(block.budgets, "attacks"):
        everywhere = budget * images[0].numel() ** 0.5
        _, fgsm = under(partial(attacks.fgsm, budget=budget))
        _, l2 = under(partial(attacks.pgd, budget=everywhere, norm="l2", steps=block.steps))
        found, after = under(partial(attacks.pgd, budget=budget, steps=block.steps))
        shares = {"fgsm": share(fgsm), "pgd": share(after), "pgd_l2": share(l2)}
        rows.append({"budget": budget, **shares, **of_change(images, found, before, after)})
        if other:
            rows[-1]["other"] = share(answers(other[0], found))
    metrics = {"accuracy_clean": clean, **{f"accuracy_{key}": rows[-1][key] for key in ("fgsm", "pgd", "pgd_l2")}}
    if other:
        rows[0]["other"] = share(answers(other[0], images))
        metrics |= {"accuracy_other": rows[0]["other"], "transfer": rows[-1]["other"]}
    return pd.DataFrame(rows), found, metrics


def _targeted(
    network: nn.Module, images: Tensor, block: Block, out: Any, names: tuple[str, ...]
) -> tuple[pd.DataFrame, Tensor, dict[str, float]]:
    """The share that is taken for its target a budget and the changes so far, the changed images, and the numbers.

    What is not reached by a budget counts in its row as it was.
    """
    with torch.no_grad():
        logits = torch.cat([network(part.float() / attacks.LEVELS) for part in images.split(BATCH)])
    if logits.shape[1] <= BEST:
        raise Error(
            f"a network of {logits.shape[1]} classes has none beside the best {BEST}; give data that are labelled as its own"
        )
    random = np.random.default_rng(block.seed)
    ranks = random.integers(BEST, logits.shape[1], len(images))
    order = logits.argsort(1, descending=True)
    targets = order[torch.arange(len(images), device=order.device), torch.from_numpy(ranks).to(order.device)]
    found, needed = images.clone(), torch.zeros(len(images), dtype=torch.int64)
    for part in bars.track(torch.arange(len(images)).split(16), "attacks"):
        found[part], some = attacks.smallest(network, images[part], targets[part], block.budgets, block.steps)
        needed[part] = some.cpu()
    out.table(
        "targets",
        pd.DataFrame(
            {
                "image": range(len(images)),
                "answer": [names[i] for i in logits.argmax(1).tolist()],
                "target": [names[i] for i in targets.tolist()],
                "budget": needed.numpy(),
            }
        ),
    )
    reached = (needed > 0).numpy()
    before, rows = logits.argmax(1), []
    for budget in (0, *block.budgets):
        within = ((needed > 0) & (needed <= budget)).to(images.device)
        now, after = torch.where(within[:, None, None, None], found, images), torch.where(within, targets, before)
        rows.append({"budget": budget, "reached": float(within.float().mean()), **of_change(images, now, before, after)})
    metrics = _transfer(network, images, found, targets, needed > 0, block)
    # What is not reached needs more than the largest.
    median = float(np.median(np.where(reached, needed.numpy(), block.budgets[-1] + 1)))
    return (
        pd.DataFrame(rows),
        found,
        {"reached": float(reached.mean()), "median_budget": median, **metrics},
    )


def _transfer(
    network: nn.Module, images: Tensor, found: Tensor, targets: Tensor, reached: Tensor, block: Block
) -> dict[str, float]:
    """What another network of ImageNet says of the images that fool this one; nothing without such a network, or such images."""
    if block.judge == "none" or not reached.any():
        return {}
    judge = backbones.classifier(block.judge, images.device)
    chosen = reached.to(images.device)
    before, after = (answers(judge, of[chosen]) for of in (images, found))
    return {
        "transfer_target": float((after == targets[chosen]).float().mean()),
        "transfer_changed": float((after != before).float().mean()),
    }


def _strip(
    images: np.ndarray, changed: np.ndarray, similar: np.ndarray, names: tuple[str, ...], before: Tensor, after: Tensor
) -> Drawing:
    order = np.argsort(similar, kind="stable")
    # Noise takes many bytes: git keeps this figure in 30 KB.
    places = dict.fromkeys(int(order[round(place * (len(order) - 1))]) for place in (1.0, 0.5, 0.0))
    drawing = Drawing((6.6, 2.3 * len(places)), figures.PHOTOGRAPHIC, layout="constrained")
    for row, i in zip(drawing.subplots(len(places), 3, squeeze=False), places):
        change = changed[i].astype(int) - images[i]
        amplified = 127.5 + 127.5 * change / max(1, np.abs(change).max())
        for axes, picture, title in zip(
            row,
            (images[i], amplified.astype(np.uint8), changed[i]),
            (names[int(before[i])], f"change, up to {np.abs(change).max()}/255", names[int(after[i])]),
        ):
            figures.picture(axes, picture)
            axes.set_title(title, **figures.TEXT)
    return drawing


def _curve(table: pd.DataFrame) -> Drawing:
    drawing = Drawing((5, 3), figures.SHARP, layout="constrained")
    axes = drawing.subplots()
    for column in table.columns.intersection([*LINES], sort=False):
        axes.plot(table["budget"], table[column], lw=1.6, marker="o", ms=3, label=LINES[column])
    figures.plain(axes)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("budget, levels of 255", **figures.TEXT)
    axes.legend(frameon=False, labelcolor=figures.INK, fontsize=8)
    return drawing
