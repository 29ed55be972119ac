from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tasks import detect
from tasks.data import Data
from tests.tasks.detection_data import write_scenes


def test_boxes_are_padded_and_come_back(tmp_path: Path) -> None:
    write_scenes(tmp_path / "tiny", {"train": 5})
    data = Data(tmp_path / "tiny", "train")
    padded = detect.boxes(data)
    assert padded.shape == (5, data.boxes.groupby("image").size().max(), 6)
    # The first image has no objects.
    assert (padded[0, :, 4] == -1).all()
    pd.testing.assert_frame_equal(
        detect.objects(padded).astype({"image": np.int64}), data.boxes[["image", *detect.COLUMNS]], check_dtype=False
    )


def test_joined_splits_keep_their_boxes(tmp_path: Path) -> None:
    write_scenes(tmp_path / "tiny", {"train": 6, "val": 2})
    parts = [detect.training.Examples.of(Data(tmp_path / "tiny", s), "detect", torch.device("cpu")) for s in ("train", "val")]
    both = parts[0] + parts[1]
    assert len(detect.objects(both.targets)) == sum(len(detect.objects(part.targets)) for part in parts)
