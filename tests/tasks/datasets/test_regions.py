import gzip

import numpy as np
import pytest

from tasks.datasets import digits, readers, regions
from tasks.datasets.data import SPLITS
from tasks.datasets.sets import patches, scenes
from tests.tasks.datasets.layouts import block, photographs
from tests.tasks.datasets.layouts import digits as written_digits


@pytest.mark.parametrize(
    "settings",
    [
        block("patches", task="classify", validation=60, test=90),
        block("photos", task="translate", size=16),
    ],
    ids=["patches", "photos"],
)
def test_no_pixel_of_a_photograph_is_in_two_splits(raw, settings, monkeypatch):
    monkeypatch.setattr(patches, "TRAIN", 300)
    photographs(raw)
    data = readers.read(raw, settings)
    seen = {split: set() for split in SPLITS}
    for name, image in data.images():
        seen[data.items[name].split].update(map(tuple, image.reshape(-1, 3).tolist()))
    assert all(seen.values())
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]


def test_scenes_have_boxes_that_hardly_overlap_and_come_again_by_seed(raw, monkeypatch):
    monkeypatch.setattr(scenes, "SCENES", 60)
    photographs(raw)
    digits = np.zeros((100, 785), np.uint8)
    for row in digits:
        row[:784].reshape(28, 28)[4:24, 10:18] = 255
    digits[:, -1] = np.arange(100) % 10
    (raw / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in digits.tolist()).encode()))
    settings = block("scenes", task="detect", size=64)
    data, again = readers.read(raw, settings), readers.read(raw, settings)
    assert data.items == again.items
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(data.images(), again.images(), strict=True))
    assert sorted({item.split for item in data.items.values()}) == ["test", "train", "val"]
    for item in data.items.values():
        assert 1 <= len(item.boxes) <= 4
        for i, a in enumerate(item.boxes):
            assert 0 <= a.x1 < a.x2 <= 64
            assert 0 <= a.y1 < a.y2 <= 64
            for b in item.boxes[:i]:
                assert min(a.x2, b.x2) - max(a.x1, b.x1) <= 2 or min(a.y2, b.y2) - max(a.y1, b.y1) <= 2


def test_no_digit_and_no_pixel_of_a_scene_is_in_two_splits(raw, monkeypatch):
    """What each split is made from is watched where it is used: scaled and blended, it cannot be told apart any more."""
    monkeypatch.setattr(scenes, "SCENES", 120)
    photographs(raw)
    written_digits(raw)
    drawn, pixels = [], []
    place, crop = digits.place, regions.crop

    def watched_place(scene, digit, *rest):
        drawn[-1].add(int(digit.max()))
        return place(scene, digit, *rest)

    def watched_crop(cell, *rest):
        drawn.append(set())
        pixels.append(set((cell.astype(int) @ (1, 256, 65536)).ravel().tolist()))
        return crop(cell, *rest)

    monkeypatch.setattr(digits, "place", watched_place)
    monkeypatch.setattr(regions, "crop", watched_crop)
    data = readers.read(raw, block("scenes", task="detect", size=64))
    assert len(drawn) == len(data.items) == 120
    for used in (drawn, pixels):
        seen = {split: set() for split in SPLITS}
        for item, values in zip(data.items.values(), used, strict=True):
            seen[item.split] |= values
        assert all(seen.values())
        assert not seen["train"] & seen["val"]
        assert not (seen["train"] | seen["val"]) & seen["test"]
