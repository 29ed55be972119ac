"""The middle squares of padded photographs, and the boxes in them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.datasets import data as prepared
from tasks.datasets.data import Data
from tasks.imaging.images import PADDING, fit
from tasks.inside import framing
from tests.conftest import write_prepared
from tests.tasks.detection_data import write_scenes

SIDE = 32


@settings(max_examples=30)
@given(width=st.integers(20, 90), height=st.integers(20, 90))
def test_no_padding_is_left(width: int, height: int) -> None:
    image = fit(np.zeros((height, width, 3), np.uint8), SIDE, (width, height))[0]
    scale = SIDE / max(width, height)
    size = np.array([[round(height * scale), round(width * scale)]])
    (found,) = framing.middles(image[None], size)
    assert found.shape == image.shape
    assert not found.any()
    assert width == height or (image == PADDING).any() or size.min() == SIDE


def test_extents_are_those_of_the_photographs(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", {"val": 3}, size=SIDE)
    index = pd.DataFrame({"file": ["a", "b", "c"], "width": [240, 100, 64], "height": [135, 200, 64]})
    index.to_parquet(tmp_path / "scenes" / "val" / "index.parquet")
    info = prepared.info(tmp_path / "scenes")
    assert framing.extents(Data(tmp_path / "scenes", "val"), info).tolist() == [[18, 32], [32, 16], [32, 32]]
    write_prepared(tmp_path / "pairs", "translate", {"val": 2}, size=16)
    assert framing.extents(Data(tmp_path / "pairs", "val"), prepared.info(tmp_path / "pairs")).tolist() == [[16, 16]] * 2


@settings(max_examples=30)
@given(x=st.integers(0, 50), y=st.integers(0, 20), side=st.integers(6, 12))
def test_boxes_go_with_what_is_in_them(x: int, y: int, side: int) -> None:
    photograph = np.zeros((32, 64, 3), np.uint8)
    photograph[y : y + side, x : x + side] = 255
    image = fit(photograph, 64, (64, 32))[0]
    boxes = pd.DataFrame({"image": [0], "x1": [x], "y1": [y], "x2": [min(x + side, 64)], "y2": [min(y + side, 32)]}, dtype=float)
    sizes = np.array([[32, 64]])
    found = framing.in_middles(boxes.astype({"image": int}), sizes, 64)
    (middle,) = framing.middles(image[None], sizes)
    if 16 <= boxes.loc[0, ["x1", "x2"]].mean() <= 48:
        x1, y1, x2, y2 = found[["x1", "y1", "x2", "y2"]].to_numpy()[0].round().astype(int).tolist()
        assert 0 <= x1 < x2 <= 64
        assert 0 <= y1 < y2 <= 64
        inside = middle[y1:y2, x1:x2] > 127
        assert inside.mean() > 0.8
        assert inside.sum() == pytest.approx((middle > 127).sum(), rel=0.2)
    else:
        assert found.empty
