import json
from pathlib import Path

from tasks.datasets import readers
from tasks.datasets.sets import coco_mini, flickr8k, flickr8k_coco
from tests.tasks.datasets.layouts import block, jpeg, zipped
from tests.tasks.datasets.sets.test_flickr8k import write


def test_captioned_images_of_coco_are_for_training_alone(raw: Path) -> None:
    write(raw, "a.jpg#0\tA .\nb.jpg#0\tB .\nc.jpg#0\tC .\nd.jpg#0\tD .\n")
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 40, "height": 30} for number in (1, 2, 3)]
    categories = [{"id": 1, "name": "cat"}]
    captions = [{"image_id": 1, "caption": "One ."}, {"image_id": 3, "caption": "Three ."}]
    parts = {"train2017": images[:2], "val2017": images[2:]}
    for place, listed in parts.items():
        (raw / place).mkdir()
        for image in listed:
            (raw / place / str(image["file_name"])).write_bytes(jpeg())
    boxes = {place: json.dumps({"images": own, "annotations": [], "categories": categories}) for place, own in parts.items()}
    (raw / coco_mini.SAMPLE).write_text(boxes["train2017"])
    texts = {f"annotations/captions_{place}.json": json.dumps({"annotations": captions}).encode() for place in parts}
    zipped(raw / coco_mini.ARCHIVE, {coco_mini.VALIDATION: boxes["val2017"].encode(), **texts})
    listed = [{"file": f"{place}/{image['file_name']}"} for place, own in parts.items() for image in own]
    (raw / "origin.json").write_text(json.dumps({"origin": "url", "licence": "", "files": listed}))
    data = readers.read(raw, block("flickr8k-coco", task="caption", size=32))
    splits = {name: item.split for name, item in data.items.items()}
    assert splits == {
        "a.jpg": "train", "d.jpg": "train", "b.jpg": "val", "c.jpg": "test", "train2017/1.jpg": "train", "val2017/3.jpg": "train",
    }  # fmt: skip
    assert {name for name, _ in data.images()} == {*splits}


def test_its_files_are_those_of_both() -> None:
    assert {*flickr8k_coco.SOURCE.files} == {*flickr8k.SOURCE.files, *coco_mini.SOURCE.files}
