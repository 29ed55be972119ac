"""Weights between two ends: what lies on the way, what is kept, and what needs both ends."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import Error
from tasks.kinds.detect import averaging
from tests.tasks.detection_data import detection_profile
from tests.tasks.training import Ready, ready

RECIPE: dict[str, Any] = {"epochs": 4, "pretrained": {"source": "none"}, "architecture": {"coco": [0, 1]}}


@given(st.floats(0, 1))
def test_a_mean_lies_between_its_ends_and_counts_are_the_last_ones(share: float) -> None:
    first = {"weight": torch.tensor([0.0, 2.0]), "count": torch.tensor(3)}
    last = {"weight": torch.tensor([1.0, -2.0]), "count": torch.tensor(8)}
    found = averaging.mean(first, last, share)
    assert torch.allclose(found["weight"], torch.tensor([share, 2 - 4 * share]), atol=1e-6)
    assert found["count"] == 8


def made(folder: Path, **changes: Any) -> Ready:
    profile = detection_profile(folder / "profile", "averaged_yolo11", {"train": 4, "val": 2, "test": 1}, **(RECIPE | changes))
    plain = ready(profile, "squares")
    tuned = copy.deepcopy(plain.network)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(0.01)
    return ready(profile, "squares", predecessor=tuned)


def test_each_epoch_goes_a_part_of_the_way_and_the_best_on_validation_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = made(tmp_path, keep="best", select="map50")
    begun = {name: tensor.clone() for name, tensor in measured.network.state_dict().items()}
    tuned = measured.objective.predecessor.state_dict()  # type: ignore[union-attr]
    scores = iter([0.2, 0.5, 0.4, 0.1])
    monkeypatch.setattr(averaging, "measure", lambda *_: {"loss": 1.0, "map50": next(scores)})
    rows: list[dict[str, float]] = []
    run = averaging.fit(*measured, 0, on_epoch=rows.append)
    assert run.history == rows
    assert (len(rows), run.kept) == (4, 2)
    half = averaging.mean(begun, tuned, 0.5)
    assert all(torch.equal(tensor, half[name]) for name, tensor in measured.network.state_dict().items())


def test_the_last_epoch_is_the_tuned_network(tmp_path: Path) -> None:
    measured = made(tmp_path, epochs=1)
    run = averaging.fit(*measured, 0)
    assert set(run.val()) >= {"map50", "loss", "threshold"}
    tuned = measured.objective.predecessor.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(tensor, tuned[name]) for name, tensor in measured.network.state_dict().items())


def test_both_ends_are_needed_and_nothing_is_set_that_nothing_heeds(tmp_path: Path) -> None:
    measured = made(tmp_path / "both", trainer={"mosaic": 0.0})
    with pytest.raises(Error, match=r"train\.trainer: nothing is trained here; leave out mosaic"):
        averaging.fit(*measured, 0)
    measured.objective.predecessor = None
    with pytest.raises(Error, match="after: name an experiment that tuned the same network"):
        averaging.fit(*measured, 0)
