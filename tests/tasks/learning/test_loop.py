"""The engine: the same seed gives the same weights, and so does a run that was killed and went on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import Error
from tasks.learning import loop
from tasks.learning.checkpoint import Run
from tasks.profile import Profile
from tests.tasks.training import ready

MakeProfile = Callable[..., Profile]

# Everything that has a state: momentum, a schedule, an average of the weights, augmentation.
RECIPE: dict[str, Any] = {
    "epochs": 4,
    "optimizer": {"name": "nesterov", "lr": 0.05, "weight_decay": 0.001},
    "augment": {"flip": True, "crop": 2, "cutout": 4, "jitter": 0.1},
    "ema": 0.9,
    "clip": 1.0,
}


class Stopped(Exception):
    pass


def fit(profile: Profile, name: str = "classes", seed: int = 0, **arguments: Any) -> tuple[dict[str, torch.Tensor], Run]:
    made = ready(profile, name, seed)
    run = loop.fit(*made, seed, **arguments)
    return made.network.state_dict(), run


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


@pytest.mark.parametrize("name", ["classes", "pairs"])
def test_a_seed_gives_the_same_weights_twice_and_another_seed_others(make_profile: MakeProfile, name: str) -> None:
    profile = make_profile(**RECIPE)
    first, second, other = fit(profile, name)[0], fit(profile, name)[0], fit(profile, name, seed=1)[0]
    assert_same(first, second)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step", "plateau", "constant"])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_run_that_was_killed_ends_where_an_uninterrupted_one_ends(
    make_profile: MakeProfile, tmp_path: Path, schedule: str, keep: str
) -> None:
    profile = make_profile(**RECIPE, schedule={"name": schedule, "every": 1}, keep=keep)
    whole, run = fit(profile)

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise Stopped

    checkpoint = tmp_path / "state" / "seed-0.pt"
    with pytest.raises(Stopped):
        fit(profile, checkpoint=checkpoint, fingerprint="f", on_epoch=stop)
    seen: list[float] = []
    resumed, again = fit(profile, checkpoint=checkpoint, fingerprint="f", on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == [3, 4]
    assert_same(whole, resumed)
    for one, other in zip(run.history, again.history, strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


def test_a_checkpoint_of_another_configuration_is_not_used(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(**RECIPE)
    checkpoint = tmp_path / "seed-0.pt"
    fit(profile, checkpoint=checkpoint, fingerprint="one")
    seen: list[float] = []
    fit(profile, checkpoint=checkpoint, fingerprint="other", on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == [1, 2, 3, 4]


def test_bf16_and_fp32_end_alike_on_a_small_problem(make_profile: MakeProfile) -> None:
    """Within 0.05 of each other's validation loss, and both have learned the three colours."""
    losses = {}
    for precision in ("bf16", "fp32"):
        run = fit(make_profile(epochs=12, precision=precision))[1]
        losses[precision] = run.val()["loss"]
        assert run.val()["accuracy"] > 0.9
    assert losses["bf16"] == pytest.approx(losses["fp32"], abs=0.05)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_every_optimiser_learns(make_profile: MakeProfile, optimizer: str) -> None:
    rate = {"sgd": 0.3, "momentum": 0.1, "nesterov": 0.1}.get(optimizer, 0.01)
    run = fit(make_profile(epochs=6, optimizer={"name": optimizer, "lr": rate}))[1]
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"] - 0.1


def test_mixup_and_label_smoothing_train(make_profile: MakeProfile) -> None:
    run = fit(make_profile("classes", epochs=10, augment={"mixup": 0.2}, label_smoothing=0.1))[1]
    assert run.val()["accuracy"] > 0.9
    assert run.history[-1]["train_loss"] > run.val()["loss"], "the validation loss is the plain one"


def test_the_best_epoch_is_kept(make_profile: MakeProfile) -> None:
    run = fit(make_profile("classes", epochs=6, keep="best", select="accuracy"))[1]
    assert run.val()["accuracy"] == max(row["val_accuracy"] for row in run.history)
    with pytest.raises(Error, match=r"experiments\.classes\.train\.select: 'psnr' is no metric of classify; .*allowed: accuracy"):
        make_profile("classes", keep="best", select="psnr")
    # One that is measured on test alone.
    with pytest.raises(Error, match=r"experiments\.classes\.train\.select: 'accuracy_flip' is measured on test alone"):
        fit(make_profile("classes", keep="best", select="accuracy_flip"))


def test_training_stops_early(make_profile: MakeProfile) -> None:
    stopping = {"metrics": ["loss", "accuracy"], "patience": 2}
    run = fit(
        make_profile(
            "classes", epochs=50, optimizer={"name": "sgd", "lr": 1e-9}, schedule={"name": "constant"}, early_stopping=stopping
        )
    )[1]
    assert run.epoch < 50


def test_a_loss_that_is_not_finite_is_an_error(make_profile: MakeProfile) -> None:
    with pytest.raises(Error, match="not finite in epoch 1"):
        fit(make_profile(optimizer={"name": "sgd", "lr": 1e30}))


@given(count=st.integers(1, 300), size=st.integers(1, 100), seed=st.integers(0, 1000))
def test_batches_are_full_and_draw_no_image_twice(count: int, size: int, seed: int) -> None:
    found = list(loop.batches(count, size, np.random.default_rng(seed)))
    assert len(found) == max(1, count // size)
    assert {len(rows) for rows in found} == {min(size, count)}
    drawn = torch.cat(found).tolist()
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(count))
