"""Networks of several parts: a recipe each, intervals, and an average of some of them; killed and gone on with."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.learning import loop
from tasks.learning.objective import check_parts
from tasks.learning.optimizers import Updates
from tests.tasks.learning.toy import BATCH, COUNT, INFO, Made, Rivals, Stopped, copied, examples, recipe, rivals, stop_after

STEPS = COUNT // BATCH
EVERYTHING: dict[str, Any] = {
    "schedule": {"name": "one-cycle"},
    "parts": {
        "discriminator": {
            "optimizer": {"name": "nesterov", "lr": 0.05, "weight_decay": 0.001},
            "schedule": {"name": "cosine"},
            "clip": 0.5,
        },
        "generator": {"every": 2},
    },
    "ema": 0.9,
    "ema_parts": ["generator"],
    "ema_ramp": True,
}


def fit(changes: dict[str, Any], **arguments: Any) -> tuple[Rivals, loop.Run]:
    network = rivals()
    objective = Made(recipe(**changes), INFO, network, "fp32")
    return network, loop.fit(network, examples(), examples(1), objective, 0, **arguments)


def without_seconds(run: loop.Run) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.history]


@pytest.mark.parametrize("changes", [{}, EVERYTHING, {**EVERYTHING, "keep": "best", "measure_every": 2}])
@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_rivals_that_were_killed_end_where_uninterrupted_ones_end(tmp_path: Path, changes: dict[str, Any], epoch: int) -> None:
    whole, run = fit(changes)
    checkpoint = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        fit(changes, checkpoint=checkpoint, fingerprint="f", on_epoch=stop_after(epoch))
    resumed, again = fit(changes, checkpoint=checkpoint, fingerprint="f")
    assert len(again.history) == 5
    assert without_seconds(run) == without_seconds(again)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    # The number of the batch goes on: what is done every few batches is done on the same ones.
    for steps in ("judged", "made", "penalised"):
        late = [batch for batch in getattr(whole, steps) if batch >= epoch * STEPS]
        assert late
        assert getattr(resumed, steps) == late, steps


def test_a_part_takes_its_steps_when_they_are_due() -> None:
    network, run = fit(EVERYTHING)
    assert network.judged == list(range(5 * STEPS))
    assert network.made == list(range(0, 5 * STEPS, 2))
    assert network.penalised == list(range(0, 5 * STEPS, 3))
    assert set(run.history[0]) == {"epoch", "lr", "seconds", "train_loss", "train_judged", "val_loss", "val_charm"}


def test_each_part_has_the_recipe_that_it_is_given() -> None:
    updates = Updates(rivals(), recipe(**EVERYTHING, clip=3.0), STEPS)
    generator, discriminator = updates["generator"], updates["discriminator"]
    assert isinstance(generator.optimizer, torch.optim.Adam)
    assert isinstance(discriminator.optimizer, torch.optim.SGD)
    assert discriminator.optimizer.defaults["nesterov"]
    assert {group["weight_decay"] for group in discriminator.optimizer.param_groups} == {0.001, 0.0}
    assert (generator.every, discriminator.every) == (2, 1)
    assert (generator.clip, discriminator.clip) == (3.0, 0.5), "where a part names none, it is the recipe's own"
    assert isinstance(generator.schedule.by_step, torch.optim.lr_scheduler.OneCycleLR)
    assert isinstance(discriminator.schedule.by_step, torch.optim.lr_scheduler.CosineAnnealingLR)
    # Of the steps that it takes, and not of all batches.
    assert generator.schedule.by_step.total_steps == -(-5 * STEPS // 2)
    assert discriminator.schedule.by_step.T_max == 5 * STEPS
    theirs = {id(p) for group in generator.optimizer.param_groups for p in group["params"]}
    assert theirs == {id(p) for p in updates["generator"].part.parameters()}


def test_intervals_count_batches_of_all_epochs() -> None:
    updates = Updates(rivals(), recipe(parts={"generator": {"every": 3}}), STEPS)
    due = []
    for batch in range(7):
        updates.batch = batch
        due.append((updates.due("generator"), updates.due("discriminator"), updates.every(2)))
    assert [first for first, _, _ in due] == [True, False, False, True, False, False, True]
    assert all(second for _, second, _ in due)
    assert [third for _, _, third in due] == [True, False] * 3 + [True]


@pytest.mark.parametrize("key", ["parts", "ema_parts"])
def test_a_part_that_the_network_does_not_have_is_refused(key: str) -> None:
    wrong = {"parts": {"critic": {"clip": 1.0}}} if key == "parts" else {"ema": 0.9, "ema_parts": ["critic"]}
    with pytest.raises(ValueError, match=rf"train\.{key}: the network has no part critic; allowed: generator, discriminator"):
        check_parts(recipe(**wrong), rivals())
    with pytest.raises(ValueError, match=rf"train\.{key}: the network has no part critic; allowed: network"):
        check_parts(recipe(**wrong), torch.nn.Linear(1, 1))


def followed(changes: dict[str, Any], steps: int) -> tuple[Rivals, loop.Average, list[dict[str, torch.Tensor]]]:
    """A network whose weights are moved at random, its average, and its states from the first step on."""
    network = rivals()
    average = loop.Average(network, recipe(**changes))
    states = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    tensor.add_(torch.rand(tensor.shape, generator=generator))
        average.update()
        states.append(dict(copied(network)))
    return network, average, states


def test_named_parts_alone_are_averaged() -> None:
    network, average, states = followed({"ema": 0.9, "ema_parts": ["generator"]}, 4)
    found = average.module.state_dict()
    for name, tensor in network.state_dict().items():
        if name.startswith("discriminator"):
            assert torch.equal(found[name], tensor), name
        elif tensor.is_floating_point():
            expected = states[0][name]
            for state in states[1:]:
                expected = 0.9 * expected + 0.1 * state[name]
            torch.testing.assert_close(found[name], expected, msg=name)
            assert not torch.equal(found[name], tensor), name


def test_a_ramped_average_forgets_its_beginning() -> None:
    """The decay of step n is at most (1 + n) / (10 + n)."""
    network, average, states = followed({"ema": 0.25, "ema_ramp": True}, 6)
    found = average.module.state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            expected = states[0][name]
            for count, state in enumerate(states[1:], 1):
                decay = min(0.25, (1 + count) / (10 + count))
                expected = decay * expected + (1 - decay) * state[name]
            torch.testing.assert_close(found[name], expected, msg=name)


def test_what_is_evaluated_and_kept_is_the_average() -> None:
    plain, _ = fit({"ema": 0.9, "ema_parts": ["generator"]})
    unaveraged, _ = fit({})
    for name, tensor in plain.state_dict().items():
        same = torch.equal(tensor, unaveraged.state_dict()[name])
        if name.startswith("discriminator"):
            assert same, name
        elif name.endswith("weight"):
            assert not same, name
