from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tasks.datasets.data import Data
from tasks.kinds.detect.data import COLUMNS, boxes, examples, objects
from tasks.learning.tensors import Examples
from tests.tasks.detection_data import write_scenes


def test_boxes_are_padded_and_come_back(tmp_path: Path) -> None:
    write_scenes(tmp_path / "tiny", {"train": 5})
    data = Data(tmp_path / "tiny", "train")
    padded = torch.from_numpy(examples(data)["targets"])
    assert padded.shape == (5, boxes(data).groupby("image").size().max(), 6)
    # The first image has no objects.
    assert (padded[0, :, 4] == -1).all()
    pd.testing.assert_frame_equal(
        objects(padded).astype({"image": np.int64}), boxes(data)[["image", *COLUMNS]], check_dtype=False
    )


def test_joined_splits_keep_their_boxes(tmp_path: Path) -> None:
    write_scenes(tmp_path / "tiny", {"train": 6, "val": 2})
    parts = [Examples.of(examples(Data(tmp_path / "tiny", s)), "cpu") for s in ("train", "val")]
    both = parts[0] + parts[1]
    assert len(objects(both.targets)) == sum(len(objects(part.targets)) for part in parts)
