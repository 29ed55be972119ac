"""Optimisers, schedules, and when a part takes its steps."""

from typing import Any

import pytest
import torch

from tasks.learning.optimizers import Update
from tasks.params.recipe import Recipe


def recipe(**changes: Any) -> Recipe:
    known = {"epochs": 1, "batch_size": 1, "loss": "any", "optimizer": {"name": "sgd", "lr": 0.1}}
    return Recipe.model_validate({**known, **changes})


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_one_cycle_is_as_short_as_is_asked_for(steps: int) -> None:
    network = torch.nn.Linear(2, 1)
    update = Update(network, recipe().of_part("network"), steps)
    rates = []
    for _ in range(steps):
        rates.append(update.optimizer.param_groups[0]["lr"])
        update(network(torch.ones(1, 2)).square().sum())
    assert 0 < max(rates) <= 0.1
