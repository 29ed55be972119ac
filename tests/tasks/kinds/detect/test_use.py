"""Detections on photographs of any size, drawn and as COCO's JSON."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor, nn

from tasks import train
from tasks.apply import apply
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.imaging import drawing
from tasks.kinds.detect import use
from tasks.learning import weights
from tasks.learning.weights import Configuration
from tasks.profile import Profile
from tests.tasks.detection_data import detection_profile


class Bright(nn.Module):
    """A detector that finds the one bright rectangle of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        out = torch.zeros(len(images), 2, 6)
        ys, xs = (images[0].amin(0) > 0.9).nonzero().unbind(1)
        out[0, 0] = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 0.9, 1])
        out[0, 1] = torch.tensor([0, 0, 9, 9, 0.1, 0])
        return out


def configuration(threshold: float | None = None) -> Configuration:
    return Configuration(
        experiment="squares", task="detect", network="yolov8", architecture={}, inputs=3, outputs=2, size=64, classes=("cat", "dog"),
        threshold=threshold, seed=0, git_commit="", data_hash="",
    )  # fmt: skip


@pytest.mark.parametrize("size", [(64, 64), (200, 100), (30, 90), (480, 640)])
def test_boxes_are_of_the_photograph_whatever_its_size(size: tuple[int, int]) -> None:
    height, width = size
    photograph = np.zeros((height, width, 3), np.uint8)
    y1, y2, x1, x2 = height // 4, height // 2, width // 2, width * 3 // 4
    photograph[y1:y2, x1:x2] = 255
    table = use.find(Bright(), configuration(), photograph)
    assert table["label"].tolist() == [1]
    # A pixel of the square of 64 is as much as this of the photograph.
    np.testing.assert_allclose(table[["x1", "y1", "x2", "y2"]].to_numpy()[0], [x1, y1, x2, y2], atol=1.5 * max(size) / 64)
    assert len(use.find(Bright(), configuration(0.05), photograph)) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_drawn_on_their_pixels(channels: int) -> None:
    image = np.full((100, 100, channels), 20, np.uint8)
    table = pd.DataFrame({"image": 0, "x1": [30.0], "y1": [40.0], "x2": [80.0], "y2": [90.0], "score": [0.75], "label": [1]})
    drawn = use.draw(image, table, ("cat", "dog"))
    assert drawn.shape == (100, 100, 3)
    colour = tuple(int(drawing.COLOURS[1][i : i + 2], 16) for i in (1, 3, 5))
    for y, x in ((89, 50), (60, 30), (60, 79)):
        assert tuple(drawn[y, x]) == colour
    assert tuple(drawn[60, 50]) == (20, 20, 20)
    assert (image == 20).all()


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A profile whose `squares` has weights that find something everywhere."""
    made = detection_profile(tmp_path / "profile", "yolov8")
    described = train.describe(made, "squares", data.info(made.processed("squares")), 0).model_copy(update={"threshold": 1e-6})
    torch.manual_seed(0)
    built = described.build()
    built.floor = 1e-7
    saved = described.model_copy(update={"architecture": {"floor": 1e-6, "most": 7}})
    weights.save(made.results("squares") / "weights" / "seed-0.safetensors", built, saved)
    return made


def test_a_folder_gets_pictures_and_one_coco_file(profile: Profile, tmp_path: Path) -> None:
    source, to = tmp_path / "in", tmp_path / "out"
    (source / "inner").mkdir(parents=True)
    Image.fromarray(np.full((40, 90, 3), 90, np.uint8)).save(source / "a.png")
    Image.fromarray(np.full((70, 50), 90, np.uint8)).save(source / "inner" / "grey.jpg")
    (source / "none.png").write_bytes(b"none")
    applied = apply(profile, "squares", source, to)
    assert (applied.done, list(applied.skipped)) == (["a.png", "inner/grey.jpg"], ["none.png"])
    whole = COCO(to / use.FILE)
    assert {image["file_name"]: (image["width"], image["height"]) for image in whole.imgs.values()} == {
        "a.png": (90, 40),
        "inner/grey.jpg": (50, 70),
    }
    network, found = weights.load(profile.results("squares") / "weights" / "seed-0.safetensors")
    with Image.open(source / "a.png") as picture:
        expected = use.find(network, found, np.asarray(picture))
    assert len(expected) > 0
    assert sum(annotation["image_id"] == 0 for annotation in whole.anns.values()) == len(expected)
    for annotation in whole.anns.values():
        x, y, w, h = annotation["bbox"]
        image = whole.imgs[annotation["image_id"]]
        assert x >= 0
        assert y >= 0
        assert x + w <= image["width"] + 0.01
        assert y + h <= image["height"] + 0.01
        assert 0 < annotation["score"] <= 1
    assert [c["name"] for c in whole.cats.values()] == ["red", "green"]
    with Image.open(to / "a.png") as picture:
        assert picture.size == (90, 40)
    # What is finished is not done again, and still stands in the file.
    before = (to / use.FILE).read_bytes()
    assert apply(profile, "squares", source, to).done == []
    assert (to / use.FILE).read_bytes() == before


def test_boxes_replace_neither_the_photograph_nor_what_a_folder_held(profile: Profile, tmp_path: Path) -> None:
    picture = tmp_path / f"a{use.OF_ONE}"
    Image.fromarray(np.full((40, 90, 3), 90, np.uint8)).save(picture, "PNG")
    before = picture.read_bytes()
    with pytest.raises(Error, match="would replace the photograph"):
        apply(profile, "squares", picture, tmp_path / "a.png")
    assert picture.read_bytes() == before
    (source := tmp_path / "in").mkdir()
    picture.rename(source / "a.png")
    (to := tmp_path / "out").mkdir()
    (to / use.FILE).write_text("mine")
    with pytest.raises(Error, match=f"{use.FILE}: not written for a folder by tasks.apply"):
        apply(profile, "squares", source, to)
    assert (to / use.FILE).read_text() == "mine"


def test_a_single_photograph(profile: Profile, tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 90, 3), 90, np.uint8)).save(tmp_path / "a.png")
    apply(profile, "squares", tmp_path / "a.png", tmp_path / "out")
    written = json.loads((tmp_path / "out" / f"a{use.OF_ONE}").read_bytes())
    assert len(written["annotations"]) > 0
    assert written["images"][0]["file_name"] == "a.png"
