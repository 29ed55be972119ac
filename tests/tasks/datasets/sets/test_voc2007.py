import pandas as pd
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.datasets.sets import voc2007
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import annotation, block, jpeg, tar


def test_boxes_are_scaled_clipped_and_listed(raw, tmp_path):
    bad = [("cat", 30, 5, 10, 9), ("cat", 99, 5, 120, 9), ("unicorn", 1, 1, 9, 9), ("cat", 6, 5, 5, 9)]
    annotations = {
        "a": annotation("a.jpg", ("dog", 1, 1, 40, 30), ("cat", 11, 11, 60, 20), *bad),
        "b": annotation("b.jpg"),
        "c": annotation("other.jpg"),
        "d": b"<annotation><filename>",
        "e": annotation("e.jpg", width=400, height=300),
        "f": annotation("f.jpg", ("dog", 1, 1, 4, 4)),
    }
    files = {"V/ImageSets/Main/train.txt": b"a\nb\nc\nd\ne\nf\ng\n", "V/ImageSets/Main/val.txt": b"h\n"}
    files |= {"V/Annotations/h.xml": annotation("h.jpg", ("dog", 1, 1, 4, 4))}
    files |= {f"V/Annotations/{stem}.xml": content for stem, content in annotations.items()}
    files |= {f"V/JPEGImages/{stem}.jpg": jpeg() for stem in "abcdefh"}
    tar(raw / "VOCtrainval_06-Nov-2007.tar", files)
    settings = block("voc2007", task="detect", size=80, validation=0, max_bad_share=0.6)
    result = preprocess.write(raw, settings, tmp_path / "out")
    assert result.counts == {"train": 3, "val": 0, "test": 1}
    assert result.skipped == 4
    train = Data(tmp_path / "out", "train")
    assert train.index.file.tolist() == ["a.jpg", "b.jpg", "f.jpg"]
    rows = [tuple(row) for row in boxes(train)[["image", "label", "x1", "y1", "x2", "y2"]].itertuples(index=False)]
    dog, cat = voc2007.CLASSES.index("dog"), voc2007.CLASSES.index("cat")
    assert rows == [(0, dog, 0, 0, 80, 60), (0, cat, 20, 20, 80, 40), (2, dog, 0, 0, 8, 8)]
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    reasons = [reason.split(":")[0] for reason in skipped[skipped.kind == "box"].reason]
    assert sorted(reasons) == ["clipped", "inverted", "no area", "outside the image", "unknown class"]
    assert skipped[skipped.kind != "box"].file.tolist() == ["c.jpg", "d.jpg", "e.jpg", "g.jpg"]


SETTINGS = block("voc2007", task="detect", size=80, validation=0)


def write_voc(raw, annotations, train="a\n", val="z\n", **files):
    packed = {"V/ImageSets/Main/train.txt": train.encode(), "V/ImageSets/Main/val.txt": val.encode()}
    packed |= {f"V/Annotations/{stem}.xml": content for stem, content in annotations.items()}
    packed |= {f"V/JPEGImages/{stem}.jpg": jpeg() for stem in "az"}
    tar(raw / "VOCtrainval_06-Nov-2007.tar", packed | files)


def test_legal_xml_is_read(raw):
    text = annotation("a.jpg", ("dog", 1, 1, 40, 30)).decode()
    text = text.replace("dog", "<![CDATA[dog]]>").replace("<object>", "<!-- a <dog> --><object>")
    document = f'<?xml version="1.0" encoding="utf-16"?>\n<!DOCTYPE annotation>\n<!-- all of it -->\n{text}'
    write_voc(raw, {"a": document.encode("utf-16"), "z": annotation("z.jpg")})
    data = readers.read(raw, SETTINGS)
    assert data.problems == []
    assert data.items["a.jpg"].boxes == (("dog", 0, 0, 40, 30, False),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY dog "cat">]>' + annotation("a.jpg", ("&dog;", 1, 1, 40, 30)), "declares entities"),
        (b"<a>" * 100_000, "nested deeper than 32"),
        (annotation("a.jpg", ("dog", "nan", 1, 4, 4)), "'nan' is no number"),
        (annotation("a.jpg", ("dog", "1_0", 1, 4, 4)), "'1_0' is no number"),
        (annotation("a.jpg", ("dog", 1, 1, "1e300", 4)), "is no number of pixels"),
        (annotation("a.jpg", width="4.0"), "'4.0' is no whole number"),
        (b"\xff\xfe\xff", "decode"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_listed(raw, content, reason):
    write_voc(raw, {"a": content, "z": annotation("z.jpg")})
    ((file, kind, said),) = readers.read(raw, SETTINGS).problems
    assert (file, kind) == ("a.jpg", "annotation")
    assert reason in said


def test_two_annotations_of_one_photograph_are_listed(raw):
    write_voc(raw, {"a": annotation("a.jpg"), "z": annotation("z.jpg")}, **{"W/Annotations/a.xml": annotation("a.jpg")})
    assert readers.read(raw, SETTINGS).problems[0].reason.endswith("the archive holds two")


def test_lists_that_are_missing_damaged_or_share_a_photograph_are_refused(raw):
    good = {"a": annotation("a.jpg"), "z": annotation("z.jpg")}
    write_voc(raw, good, val="z\na\n")
    with pytest.raises(Error, match="a is in the lists of train and test"):
        readers.read(raw, SETTINGS)
    write_voc(raw, good, **{"V/ImageSets/Main/train.txt": b"\xff\xfe"})
    with pytest.raises(Error, match=r"train.txt is no text"):
        readers.read(raw, SETTINGS)
    tar(raw / "VOCtrainval_06-Nov-2007.tar", {"V/ImageSets/Main/train.txt": b"a\n"})
    with pytest.raises(Error, match=r"no ImageSets/Main/val.txt in it"):
        readers.read(raw, SETTINGS)
