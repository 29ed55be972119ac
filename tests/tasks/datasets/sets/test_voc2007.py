import pandas as pd

from tasks import preprocess
from tasks.datasets.data import Data
from tasks.datasets.sets import voc2007
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
    boxes = [tuple(row) for row in train.boxes[["image", "label", "x1", "y1", "x2", "y2"]].itertuples(index=False)]
    dog, cat = voc2007.CLASSES.index("dog"), voc2007.CLASSES.index("cat")
    assert boxes == [(0, dog, 0, 0, 80, 60), (0, cat, 20, 20, 80, 40), (2, dog, 0, 0, 8, 8)]
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    reasons = [reason.split(":")[0] for reason in skipped[skipped.kind == "box"].reason]
    assert sorted(reasons) == ["clipped", "inverted", "no area", "outside the image", "unknown class"]
    assert skipped[skipped.kind != "box"].file.tolist() == ["c.jpg", "d.jpg", "e.jpg", "g.jpg"]
