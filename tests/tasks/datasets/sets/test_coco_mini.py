import json
import zipfile

from tasks import preprocess
from tasks.datasets.data import Data
from tests.tasks.datasets.layouts import block, jpeg


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
    boxes = Data(tmp_path / "out", "train").boxes
    assert boxes.iloc[0].tolist() == [1, 1, 1, 2, 4, 6, True]
