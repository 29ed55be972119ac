import json
import zipfile

import pandas as pd
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import block, jpeg, zipped


def test_coco_takes_what_was_downloaded(raw, tmp_path):
    (raw / "train2017").mkdir()
    instances = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(4)],
        "annotations": [{"image_id": 1, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": 1}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
    }
    (raw / "instances_minitrain2017.json").write_text(json.dumps(instances))
    with zipfile.ZipFile(raw / "annotations_trainval2017.zip", "w") as archive:
        archive.writestr("annotations/instances_val2017.json", json.dumps(instances))
    for i in (0, 1):
        (raw / "train2017" / f"{i}.jpg").write_bytes(jpeg())
    (raw / "val2017").mkdir()
    (raw / "val2017" / "3.jpg").write_bytes(jpeg())
    files = [{"file": f"train2017/{i}.jpg"} for i in range(3)] + [{"file": "val2017/3.jpg"}]
    (raw / "origin.json").write_text(json.dumps({"origin": "package", "licence": "CC0", "files": files}))
    result = preprocess.write(raw, block("coco-mini", task="detect", size=40, validation=0, max_bad_share=0.5), tmp_path / "out")
    assert result.classes == ("person", "toothbrush")
    assert result.counts == {"train": 2, "val": 0, "test": 1}
    assert result.skipped == 1
    table = boxes(Data(tmp_path / "out", "train"))
    assert table.iloc[0].tolist() == [1, 1, 1, 2, 4, 6, True]


CATEGORIES = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
SETTINGS = block("coco-mini", task="detect", size=40, validation=0, max_bad_share=1)


def image(i, **values):
    return {"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} | values


def box(i, *corners, **values):
    return {"image_id": i, "category_id": 1, "bbox": list(corners)} | values


def write_coco(raw, images=(), boxes=(), captions=None, categories=CATEGORIES):
    """Training annotations, and one photograph of validation."""
    train = {"images": [*images], "annotations": [*boxes], "categories": categories}
    val = {"images": [image(7)], "annotations": [], "categories": CATEGORIES}
    (raw / "instances_minitrain2017.json").write_text(json.dumps(train))
    packed = {"annotations/instances_val2017.json": json.dumps(val).encode()}
    if captions is not None:
        packed["annotations/captions_train2017.json"] = json.dumps({"annotations": captions}).encode()
    zipped(raw / "annotations_trainval2017.zip", packed)
    names = {f"train2017/{one.get('file_name')}" for one in images} | {"val2017/7.jpg"}
    for name in names:
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_bytes(jpeg())
    files = [{"file": name} for name in sorted(names)]
    (raw / "origin.json").write_text(json.dumps({"origin": "package", "licence": "CC0", "files": files}))


def test_two_images_of_one_id_are_both_listed(raw, tmp_path):
    write_coco(raw, [image(1), image(1, file_name="b.jpg"), image(2)], [box(1, 1, 1, 9, 9), box(2, 1, 1, 9, 9)])
    data = readers.read(raw, SETTINGS)
    assert list(data.items) == ["train2017/1.jpg", "train2017/b.jpg", "train2017/2.jpg", "val2017/7.jpg"]
    assert [(p.file, p.kind) for p in data.problems] == [("train2017/1.jpg", "annotation"), ("train2017/b.jpg", "annotation")]
    assert "its id, 1, is another image's too" in data.problems[0].reason
    result = preprocess.write(raw, SETTINGS, tmp_path / "out")
    assert (result.counts["train"], result.skipped) == (1, 2)
    assert len(boxes(Data(tmp_path / "out", "train"))) == 1
    # For image to image an image is an image.
    pairs = preprocess.write(raw, block("coco-mini", task="translate", size=16, validation=0), tmp_path / "pairs")
    assert (pairs.counts["train"], pairs.skipped) == (3, 0)


def test_an_image_that_is_listed_twice_or_has_no_size_is_listed(raw):
    write_coco(raw, [image(1), image(2, file_name="1.jpg"), image(3, width="40"), image("4"), image(5, height=0)])
    reasons = {p.file: p.reason for p in readers.read(raw, SETTINGS).problems}
    assert reasons.keys() == {f"train2017/{i}.jpg" for i in (1, 3, 4, 5)}
    assert "listed more than once" in reasons["train2017/1.jpg"]
    assert "'40' is no whole number" in reasons["train2017/3.jpg"]


@pytest.mark.parametrize(
    "damage",
    [
        {"bbox": ["1", "2", "3", "4"]},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, None]},
        {"bbox": [1, 2, 3, float("nan")]},
        {"bbox": [1, 2, 3, 10**300]},
        {"bbox": "1234"},
        {"bbox": None},
        {"category_id": [1]},
        {"category_id": "1"},
    ],
)
def test_a_box_that_cannot_be_used_is_listed_and_the_others_stay(raw, tmp_path, damage):
    write_coco(raw, [image(1)], [box(1, 1, 2, 3, 4), box(1, 1, 2, 3, 4) | damage])
    result = preprocess.write(raw, SETTINGS, tmp_path / "out")
    assert result.skipped == 0
    assert len(boxes(Data(tmp_path / "out", "train"))) == 1
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert skipped[["file", "kind"]].to_numpy().tolist() == [["train2017/1.jpg", "box"]]
    assert "not a box of COCO's" in skipped.reason[0]


@pytest.mark.parametrize("number", [99, "1", None, [1]])
def test_a_box_of_an_unknown_image_is_listed(raw, number):
    write_coco(raw, [image(1)], [box(number, 1, 2, 3, 4)])
    ((file, kind, reason),) = readers.read(raw, SETTINGS).problems
    assert (file, kind) == ("train2017/?", "box")
    assert "not in the list" in reason


def test_captions_are_sentences_and_change_no_byte(raw, tmp_path):
    images, boxes = [image(1), image(2)], [box(1, 1, 2, 3, 4)]
    write_coco(raw, images, boxes)
    without = preprocess.write(raw, SETTINGS, tmp_path / "out")
    captions = [{"image_id": 1, "caption": " Two dogs.\n"}, {"image_id": 1, "caption": "A dog and a dog."}]
    captions += [{"image_id": 2, "caption": 3}, {"image_id": 2, "caption": " "}, {"image_id": 999, "caption": "Of another part."}]
    write_coco(raw, images, boxes, captions)
    data = readers.read(raw, SETTINGS)
    assert data.items["train2017/1.jpg"].sentences == ("Two dogs.", "A dog and a dog.")
    assert data.items["train2017/2.jpg"].sentences == ()
    assert [(p.file, p.kind) for p in data.problems] == [("train2017/2.jpg", "sentence")] * 2
    assert preprocess.write(raw, SETTINGS, tmp_path / "out") == without


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b'{"images": ' * 200_000, "nested too deep"),
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[]", "no list of categories"),
        (b'{"categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}], "images": 3}', "no list of images"),
        (b'{"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "comes twice"),
        (b'{"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}', "comes twice"),
        (b'{"categories": [{"id": 1, "name": "another"}], "images": []}', "differ"),
    ],
)
def test_annotations_of_another_layout_are_a_sentence(raw, content, reason):
    write_coco(raw, [image(1)])
    (raw / "instances_minitrain2017.json").write_bytes(content)
    with pytest.raises(Error, match=reason):
        readers.read(raw, SETTINGS)
