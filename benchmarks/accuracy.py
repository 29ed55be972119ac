"""Seconds to 83 % on validation, the published classifier's accuracy: our compact network against 30 epochs of the published loop."""

import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks.fractional import Published
from benchmarks.training import CPU, objective_of, prepared
from tasks import kinds
from tasks.datasets import data
from tasks.learning import loop
from tasks.learning.building import describe
from tasks.learning.tensors import Examples

ACCURACY = 0.83
EPOCHS = 30
OURS = 4  # epochs that the compact network's recipe is shortened to


class Reached(Exception):
    """Training has got where it should."""


def run(root: Path) -> list[dict[str, Any]]:
    """Nothing where CIFAR-10 is not prepared: other images have another difficulty."""
    profile, name = prepared(root, "compact")
    recipe = profile.experiment(name).train.model_copy(update={"epochs": OURS})
    folder = profile.processed(profile.experiment(name).data)
    info = data.info(folder)
    if info.dataset != "cifar10":
        return []
    published = Published(folder)
    published.images_a_second()  # not measured: the first steps are slower
    rates = [published.images_a_second() for _ in range(2)]

    torch.manual_seed(0)
    network = describe(profile, name, info, 0).build().to(memory_format=torch.channels_last)
    arrays = kinds.part(info.task, "data").examples
    examples = {s: Examples.of(arrays(data.Data(folder, s)), CPU) for s in ("train", "val")}
    objective = objective_of(recipe, info, network)
    seconds = 0.0

    def on_epoch(row: dict[str, float]) -> None:
        nonlocal seconds
        seconds = row["seconds"]
        if row["val_accuracy"] >= ACCURACY:
            raise Reached

    try:
        loop.fit(network, examples["train"], examples["val"], objective, 0, on_epoch=on_epoch)
        raise RuntimeError(f"{name} did not reach {ACCURACY:.0%} on validation in {recipe.epochs} epochs")
    except Reached:
        pass
    rates += [published.images_a_second() for _ in range(2)]
    ratios = [EPOCHS * len(examples["train"]) / rate / seconds for rate in rates]
    return [
        {
            "name": "seconds_to_83_percent",
            "ratio": round(statistics.median(ratios), 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            "floor": 8.0,
            "unit": "seconds",
            "ours": round(seconds, 1),
            "alternative": round(statistics.median(EPOCHS * len(examples["train"]) / rate for rate in rates), 1),
            "description": f"{name}, its recipe in {OURS} epochs, to {ACCURACY:.0%} on validation, evaluations included, against "
            f"{EPOCHS} epochs of the published loop (its seconds an epoch from its rate before and after)",
            "dataset": info.dataset,
        }
    ]
