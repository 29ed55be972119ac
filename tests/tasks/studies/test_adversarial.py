"""The study of adversarial images from its block to its files."""

import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import skimage.data
import torch
from torch.nn import functional as F

from tasks.common.errors import Error
from tasks.datasets.data import Data
from tasks.imaging.images import center_square
from tasks.kinds.classify import data as classification
from tasks.learning import weights
from tasks.profile import Profile
from tasks.study import study
from tests.conftest import write_prepared
from tests.tasks import test_code

OPTIONS = {"images": 12, "budgets": [2, 16], "steps": 4}


def slow_accuracy(profile: Profile, budget: int, steps: int) -> float:
    """PGD on one image after another, in fp32, without anything of `tasks.inside`."""
    network, _ = weights.load(profile.weights("classes"))
    data = Data(profile.processed("tiny-classes"), "test")
    stride, right = max(1, round(2.5 * budget / steps)), []
    for pixels, label in zip(data.images[:12], classification.labels(data)):
        first = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
        current = first
        for step in range(steps + 1):
            inputs = (current / 255).requires_grad_()
            scores = network(inputs)
            if scores.argmax() != label or step == steps:
                break
            F.cross_entropy(scores, torch.tensor([label])).backward()
            assert inputs.grad is not None
            moved = current + stride * inputs.grad.sign()
            current = torch.min(torch.max(moved, first - budget), first + budget).clamp(0, 255)
        right.append(int(scores.argmax()) == label)
    return float(np.mean(right))


def test_accuracy_against_the_budget_is_that_of_a_slow_loop(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="adversarial", other="classes", options=OPTIONS)
    metrics = study(profile, "looked")["metrics"]
    table = pd.read_csv(profile.results("looked") / "tables" / "budgets.csv")
    assert table["budget"].tolist() == [0, 2, 16]
    for budget, pgd in zip(table["budget"], table["pgd"]):
        assert pgd == pytest.approx(slow_accuracy(profile, budget, 4), abs=1 / 12 + 1e-3)
    assert metrics["accuracy_pgd"] == pytest.approx(table["pgd"].iloc[-1], abs=1e-4)
    assert table["mean_linf"].tolist() == sorted(table["mean_linf"])
    assert (table["mean_linf"] <= table["budget"]).all()
    assert table["ssim"].iloc[0] == 1
    # The other network is the same one: it is fooled by the same images.
    assert metrics["transfer"] == metrics["accuracy_pgd"]
    assert table["other"].tolist() == table["pgd"].tolist()
    assert metrics["accuracy_other"] == metrics["accuracy_clean"]
    assert metrics["accuracy_clean"] > 0, "an attack on a network that is never right shows nothing"
    assert 0 < metrics["mean_linf"] <= 16
    for figure in ("strip.png", "curve.png"):
        assert (profile.results("looked") / "plots" / figure).stat().st_size > 3000


def test_photographs_are_taken_for_their_targets(make_study: Callable[..., Profile]) -> None:
    options = {"images": 2, "budgets": [1, 8], "steps": 20, "judge": "mobilenet_v2"}
    profile = make_study(study="adversarial", network="none", embedded="squeezenet", data="tiny-pairs", options=options)
    folder = profile.processed("tiny-pairs")
    shutil.rmtree(folder)
    write_prepared(folder, "translate", {"train": 2, "val": 2, "test": 2}, size=224)
    photographs = [center_square(picture, 224) for picture in (skimage.data.chelsea(), skimage.data.coffee())]
    np.save(folder / "val" / "images.npy", np.stack(photographs))
    metrics = study(profile, "looked")["metrics"]
    table = pd.read_csv(profile.results("looked") / "tables" / "targets.csv")
    assert (table["answer"] != table["target"]).all()
    assert metrics["reached"] == (table["budget"] > 0).mean() == 1
    assert metrics["median_budget"] == table["budget"].median()
    assert metrics["changed"] == 1
    assert 0 <= metrics["transfer_target"] <= metrics["transfer_changed"] <= 1
    assert metrics["mean_linf"] <= 8
    assert metrics["ssim"] > 0.8
    budgets = pd.read_csv(profile.results("looked") / "tables" / "budgets.csv")
    assert budgets["budget"].tolist() == [0, 1, 8]
    assert budgets["reached"].tolist() == budgets["changed"].tolist() == [(table["budget"] <= b).mean() for b in (0, 1, 8)]
    assert (budgets["mean_linf"] <= budgets["budget"]).all()
    assert budgets["mean_l2"].is_monotonic_increasing
    assert budgets["ssim"].is_monotonic_decreasing
    last = budgets.iloc[-1]
    assert [last[key] for key in ("mean_linf", "mean_l2", "ssim")] == pytest.approx([metrics[key] for key in ("mean_linf", "mean_l2", "ssim")], abs=1e-3)  # fmt: skip


def test_a_result_says_what_was_asked_for(make_study: Callable[..., Profile]) -> None:
    result = study(make_study(study="adversarial", options={**OPTIONS, "seed": 3}), "looked")
    assert result["seeds"] == [3]
    assert result["options"] == {**OPTIONS, "seed": 3, "judge": "none"}


def test_a_network_of_few_classes_has_no_targets(make_study: Callable[..., Profile]) -> None:
    with pytest.raises(Error, match="3 classes has none beside the best 5"):
        study(make_study(study="adversarial", data="tiny-pairs", options=OPTIONS), "looked")


@pytest.mark.parametrize("budgets", [[], [0, 1], [2, 1], [1, 256]])
def test_budgets_rise(make_study: Callable[..., Profile], budgets: list[int]) -> None:
    with pytest.raises(Error, match="each larger than the one before"):
        make_study(study="adversarial", options={"budgets": budgets})


@pytest.mark.slow
def test_the_stage_imports_what_its_digest_names(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="adversarial", options=OPTIONS)
    run = "from tasks.study import study; study(config.load({folder!r}, networks=False), {name!r})"
    found = test_code.imported(run, profile.folder, "looked")
    assert "tasks/inside/attacks.py" in found
    assert found <= test_code.covered(profile.folder, "study", "looked")
