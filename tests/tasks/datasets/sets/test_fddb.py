import numpy as np
import pandas as pd
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import annotation, block, jpeg, tar


def test_fddb_is_held_out_of_by_share(raw, tmp_path):
    stems = [f"img_{i}" for i in range(10)]
    files = {"FDDB2007/ImageSets/Main/train.txt": "\n".join(stems).encode()}
    files |= {f"FDDB2007/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("face", 3, 3, 12, 12)) for stem in stems}
    files |= {f"FDDB2007/JPEGImages/{stem}.jpg": jpeg() for stem in stems}
    tar(raw / "FDDB2007.tar", files)
    result = preprocess.write(raw, block("fddb", task="detect", size=40, validation=0.25, test=0.2), tmp_path / "out")
    assert (result.classes, result.counts) == (("face",), {"train": 6, "val": 2, "test": 2})
    assert boxes(Data(tmp_path / "out", "test"))[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[2, 2, 12, 12]] * 2


SETTINGS = block("fddb", task="detect", size=160, validation=0, test=0, max_bad_share=1)


def write_fddb(raw, folds, photographs=(), missing=()):
    """The publisher's archives, ten folds in each."""
    names = [f"FDDB-folds/FDDB-fold-{i:02d}-ellipseList.txt" for i in range(1, 11)]
    texts = {name: folds.get(i, "").encode() for i, name in enumerate(names, 1) if i not in missing}
    tar(raw / "FDDB-folds.tgz", texts | {"FDDB-folds/FDDB-fold-01.txt": b"2002/08/11/big/img_1\n"})
    tar(raw / "originalPics.tar.gz", {f"{name}.jpg": jpeg(160, 120) for name in photographs})


def test_boxes_enclose_the_publishers_ellipses(raw, tmp_path):
    """Upright, lying, and turned by 30 degrees, whose outline is sampled here."""
    a, b, c = "2002/08/11/big/img_1", "2003/01/02/big/img_22", "2002/07/19/big/img_333"
    folds = {
        1: f"{a}\n2\n20 10 1.5707963267948966 60 50  1\n20 10 0 60 50 1\n{b}\n1\n20 10 0.5235987755982988 60 50  1\n",
        10: f"{c}\n0\n",
    }
    write_fddb(raw, folds, [a, b, c, "2002/08/11/big/img_unlisted"])
    data = readers.read(raw, SETTINGS)
    assert data.problems == []
    assert list(data.items) == [f"{name}.jpg" for name in (a, b, c)]
    corners = np.array([box[1:5] for item in data.items.values() for box in item.boxes])
    t = np.linspace(0, 2 * np.pi, 100_000)
    x = 60 + 20 * np.cos(t) * np.cos(np.pi / 6) - 10 * np.sin(t) * np.sin(np.pi / 6)
    y = 50 + 20 * np.cos(t) * np.sin(np.pi / 6) + 10 * np.sin(t) * np.cos(np.pi / 6)
    np.testing.assert_allclose(corners[:2], [[50, 30, 70, 70], [40, 40, 80, 60]], atol=1e-9)
    np.testing.assert_allclose(corners[2], [x.min(), y.min(), x.max(), y.max()], atol=1e-6)
    result = preprocess.write(raw, SETTINGS, tmp_path / "out")
    assert (result.counts["train"], result.skipped) == (3, 0)
    assert len(boxes(Data(tmp_path / "out", "train"))) == 3


def test_ellipses_that_cannot_be_used_and_photographs_that_are_not_there_are_listed(raw, tmp_path):
    a, b = "2002/08/11/big/img_1", "2002/08/11/big/img_2"
    ellipses = [
        "-5 3 0 50 50 1",
        "5 -3 0 50 50 1",
        "0 0 0 50 50 1",
        "5 3 0 900 50 1",
        "40 30 0 10 50 1",
        "5 3 0 50 50",
        "5 3 x 50 50 1",
    ]
    ellipses += ["5 3 nan 50 50 1", "9 9 0 50 50 1"]
    write_fddb(raw, {1: "\n".join([a, str(len(ellipses)), *ellipses, b, "0", a, "0"]), 2: f"{b}3\n1\n5 3 0 50 50 1\n"}, [a, b])
    result = preprocess.write(raw, SETTINGS, tmp_path / "out")
    assert (result.counts["train"], result.skipped) == (1, 2)
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert skipped[skipped.kind == "annotation"].values.tolist() == [
        [f"{a}.jpg", "annotation", "FDDB-fold-01-ellipseList.txt, line 14: the folds have it more than once"]
    ]
    assert skipped[skipped.kind == "image"].values.tolist() == [[f"{b}3.jpg", "image", "missing"]]
    # Without the second mention, its good boxes stay.
    write_fddb(raw, {1: "\n".join([a, str(len(ellipses)), *ellipses, b, "0"])}, [a, b])
    assert preprocess.write(raw, SETTINGS, tmp_path / "out").skipped == 0
    found = boxes(Data(tmp_path / "out", "train"))[["x1", "y1", "x2", "y2"]].to_numpy().tolist()
    assert found == [[0, 20, 50, 80], [41, 41, 59, 59]]
    reasons = pd.read_csv(tmp_path / "out" / "skipped.csv").reason
    assert sorted(reason.split(":")[0] for reason in reasons) == ["clipped", *["not an ellipse"] * 6, "outside the image"]


GOOD = "2002/08/11/big/img_9\n1\n5 3 0 50 50 1\n"
BAD = [
    "2002/08/11/big/img_1\n2\n5 3 0 50 50 1\n",
    "2002/08/11/big/img_1\n1\n5 3 0 50 50 1\n5 3 0 50 50 1\n",
    "2002/08/11/big/img_1\nx\n",
    "2002/08/11/big/img_1\n",
]


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("order", ["first", "last"])
def test_an_entry_whose_counts_do_not_add_up_is_listed_and_the_others_are_read(raw, tmp_path, text, order):
    write_fddb(raw, {3: text + GOOD if order == "first" else GOOD + text}, ["2002/08/11/big/img_1", "2002/08/11/big/img_9"])
    result = preprocess.write(raw, SETTINGS, tmp_path / "out")
    assert (result.counts["train"], result.skipped) == (1, 1)
    assert Data(tmp_path / "out", "train").index.file.tolist() == ["2002/08/11/big/img_9.jpg"]
    (listed,) = pd.read_csv(tmp_path / "out" / "skipped.csv").itertuples(index=False)
    assert (listed.file, listed.kind) == ("2002/08/11/big/img_1.jpg", "annotation")
    assert listed.reason.startswith("FDDB-fold-03-ellipseList.txt, line ")


@pytest.mark.parametrize("text", [*BAD, "<html>\n</html>\n"])
def test_a_fold_without_an_entry_that_can_be_used_is_a_sentence(raw, text):
    write_fddb(raw, {3: text})
    with pytest.raises(Error, match=r"FDDB-fold-03-ellipseList.txt, line 1: .*; no entry can be used"):
        readers.read(raw, SETTINGS)


def test_a_fold_that_is_missing_is_a_sentence(raw):
    write_fddb(raw, {}, missing=[7])
    with pytest.raises(Error, match=r"no FDDB-fold-07-ellipseList.txt in this archive"):
        readers.read(raw, SETTINGS)
