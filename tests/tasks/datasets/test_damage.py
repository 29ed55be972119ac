"""Whatever stands in a publisher's file, it is read, listed as a problem or refused in a sentence."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import preprocess
from tasks.common.errors import Error
from tests.tasks.datasets.layouts import annotation, block, jpeg, tar, zipped

JPEG = jpeg()
ORIGIN = {"origin": "package", "licence": "CC0", "files": [{"file": f"train2017/{i}.jpg"} for i in range(3)]}
COCO = {
    "images": [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(3)],
    "annotations": [{"image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0} for i in range(3)],
    "categories": [{"id": 1, "name": "person"}],
}
CAPTIONS = {"annotations": [{"image_id": 1, "caption": "A person."}]}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from([10**300, "1", -1, 1])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within a JSON document."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(value[key], (*way, key))


def damaged(data: st.DataObject, document: Any) -> bytes:
    """The document with another value in one place."""
    document = copy.deepcopy(document)
    *way, last = data.draw(st.sampled_from([*places(document)]))
    at = document
    for key in way:
        at = at[key]
    at[last] = data.draw(VALUES)
    return json.dumps(document).encode()


def prepared(raw: Path, dataset: str, **options: object) -> None:
    with suppress(Error):
        preprocess.write(raw, block(dataset, size=32, max_bad_share=1, **options), raw.parent / "out")


def folder(factory: pytest.TempPathFactory) -> Path:
    raw = factory.mktemp("damage") / "raw"
    raw.mkdir()
    (raw / "origin.json").write_text(json.dumps(ORIGIN))
    return raw


@given(data=st.data(), task=st.sampled_from(["detect", "translate"]))
@settings(max_examples=60, deadline=None)
def test_cocos_json(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, task: str) -> None:
    raw = folder(tmp_path_factory)
    (raw / "train2017").mkdir()
    for i in range(3):
        (raw / "train2017" / f"{i}.jpg").write_bytes(JPEG)
    (raw / "instances_minitrain2017.json").write_bytes(damaged(data, COCO))
    files = {"instances_val2017": json.dumps(COCO).encode(), "captions_train2017": damaged(data, CAPTIONS)}
    zipped(raw / "annotations_trainval2017.zip", {f"annotations/{name}.json": content for name, content in files.items()})
    prepared(raw, "coco-mini", task=task, validation=0)


def voc(raw: Path, text: bytes) -> None:
    files = {"V/ImageSets/Main/train.txt": b"a\nb\n", "V/ImageSets/Main/val.txt": b"z\n", "V/Annotations/a.xml": text}
    files |= {f"V/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("dog", 1, 1, 9, 9)) for stem in "bz"}
    tar(raw / "VOCtrainval_06-Nov-2007.tar", files | {f"V/JPEGImages/{stem}.jpg": JPEG for stem in "abz"})


def wider(raw: Path, text: bytes) -> None:
    (raw / "wider_face_val_bbx_gt.txt").write_bytes(text)
    zipped(raw / "WIDER_val.zip", {f"WIDER_val/images/e/{stem}.jpg": JPEG for stem in "ab"})


def fddb(raw: Path, text: bytes) -> None:
    folds = {f"FDDB-folds/FDDB-fold-{i:02d}-ellipseList.txt": text if i == 1 else b"" for i in range(1, 11)}
    tar(raw / "FDDB-folds.tgz", folds)
    tar(raw / "originalPics.tar.gz", {f"2002/08/11/big/img_{i}.jpg": JPEG for i in (1, 2)})


def flickr8k(raw: Path, text: bytes) -> None:
    lists = {
        f"Flickr_8k.{name}Images.txt": f"{stem}.jpg\n".encode() for name, stem in (("train", "a"), ("dev", "b"), ("test", "c"))
    }
    zipped(raw / "Flickr8k_text.zip", lists | {"Flickr8k.token.txt": text})
    zipped(raw / "Flickr8k_Dataset.zip", {f"Flicker8k_Dataset/{stem}.jpg": JPEG for stem in "abc"})


TEXTS: dict[str, tuple[Callable[[Path, bytes], None], bytes, dict[str, object]]] = {
    "voc2007": (voc, annotation("a.jpg", ("dog", 1, 1, 9, 9)), {"task": "detect", "validation": 0}),
    "wider-face": (wider, b"e/a.jpg\n1\n4 3 10 6 0 0 0 0 0 0 \ne/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n", {"task": "detect"}),
    "fddb": (fddb, b"2002/08/11/big/img_1\n1\n5 3 0 9 9  1\n", {"task": "detect", "validation": 0, "test": 0}),
    "flickr8k": (flickr8k, b"a.jpg#0\tA .\na.jpg#1\tB .\nb.jpg#0\tC .\n", {"task": "translate"}),
}
PIECES = st.binary(max_size=3) | st.sampled_from(
    [b"\n", b" ", b"-", b"9" * 30, b"0", b"<", b"&x;", b"nan", b"1e9", b"/", b"#", b""]
)


@pytest.mark.parametrize("dataset", TEXTS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_lists_and_annotations(tmp_path_factory: pytest.TempPathFactory, dataset: str, data: st.DataObject) -> None:
    write, text, options = TEXTS[dataset]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(PIECES) + text[start + data.draw(st.integers(0, 12)) :]
    raw = folder(tmp_path_factory)
    write(raw, text)
    prepared(raw, dataset, **options)
