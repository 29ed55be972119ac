import zipfile

import pandas as pd
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import block, jpeg, zipped


def test_wider_face_has_boxes_of_faces_and_photographs_without(raw, tmp_path):
    """A face is x, y, width, height, blur, expression, illumination, invalid, occlusion, pose."""
    text = "0--Parade/a.jpg\n2\n4 3 10 6 0 0 0 0 0 0 \n20 10 5 5 2 0 0 1 2 0 \n1--Handshaking/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
    (raw / "wider_face_val_bbx_gt.txt").write_text(text)
    with zipfile.ZipFile(raw / "WIDER_val.zip", "w") as archive:
        for name in ("0--Parade/a.jpg", "1--Handshaking/b.jpg", "1--Handshaking/unlisted.jpg"):
            archive.writestr(f"WIDER_val/images/{name}", jpeg())
    result = preprocess.write(raw, block("wider-face", task="detect", size=80), tmp_path / "out")
    assert (result.classes, result.counts) == (("face",), {"train": 0, "val": 0, "test": 2})
    data = Data(tmp_path / "out", "test")
    assert data.index.file.tolist() == ["0--Parade/a.jpg", "1--Handshaking/b.jpg"]
    assert boxes(data)[["image", "x1", "y1", "x2", "y2", "difficult"]].to_numpy().tolist() == [
        [0, 8, 6, 28, 18, False],
        [0, 40, 20, 50, 30, True],
    ]


SETTINGS = block("wider-face", task="detect", size=80)


def faces(raw, text):
    (raw / "wider_face_val_bbx_gt.txt").write_text(text)
    return readers.read(raw, SETTINGS).items


def test_what_the_publisher_calls_hard_to_judge_is_difficult(raw):
    rows = ["4 3 10 6 0 0 0 0 0 0", "4 3 10 6 2 1 1 0 1 1", "4 3 10 6 0 0 0 1 0 0", "4 3 10 6 0 0 0 0 2 0", "4 3 0 6 0 0 0 0 0 0"]
    items = faces(raw, "\n".join(["a/a.jpg", "5", *rows]))
    assert [box.difficult for box in items["a/a.jpg"].boxes] == [False, False, True, True, True]


def test_a_photograph_without_faces_has_a_row_of_zeros_or_none(raw):
    zeros = "0 0 0 0 0 0 0 0 0 0"
    items = faces(raw, f"a/a.jpg\n0\n{zeros} \nb/b.jpg\n0\nc/c.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n\nd/d.jpg\n0\n{zeros}\n")
    assert [(name, len(item.boxes)) for name, item in items.items()] == [
        ("a/a.jpg", 0),
        ("b/b.jpg", 0),
        ("c/c.jpg", 1),
        ("d/d.jpg", 0),
    ]


FACE = "4 3 10 6 0 0 0 0 0 0"


GOOD = f"z/good.jpg\n1\n{FACE}\n"
BAD = [
    (f"a/a.jpg\n2\n{FACE}\n", "a/a.jpg", "does not add up: 2 announced, 1 listed"),
    (f"a/a.jpg\n1\n{FACE}\n{FACE}\n", "a/a.jpg", "does not add up: 1 announced, 2 listed"),
    (f"a/a.jpg\n{FACE}\n", "a/a.jpg", "is no whole number"),
    ("a/a.jpg\n", "a/a.jpg", "is no whole number"),
    (f"a/a.jpg\n-1\n{FACE}\n", "a/a.jpg", "from 0 to 100000"),
    (f"a/a.jpg\n{'9' * 5000}\n", "a/a.jpg", "is no whole number"),
    ("a/a.jpg\n1\n4 3 10 6 0 0 0 0 0\n", "a/a.jpg", "ten numbers"),
    ("a/a.jpg\n1\n4 3 1e1 6 0 0 0 0 0 0\n", "a/a.jpg", "'1e1' is no whole number"),
    (f"a/a.jpg\n1\n{10**17} 3 10 6 0 0 0 0 0 0\n", "a/a.jpg", "1000"),
    ("a/a.jpg\n1\n4 3 10 6 0 0 0 7 0 0\n", "a/a.jpg", "7 is no whole number from 0 to 1"),
    (f"a/a.jpg\n1\n{FACE}\na/a.jpg\n1\n{FACE}\n", "a/a.jpg", "more than once"),
    (f"a/a.jp\n1\n{FACE}\n", "a/a.jp", "'a/a.jp' is no photograph's name"),
]


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize(("text", "name", "reason"), BAD)
def test_an_entry_that_cannot_be_used_is_listed_and_the_others_are_read(raw, tmp_path, text, name, reason, order):
    (raw / "wider_face_val_bbx_gt.txt").write_text(text + GOOD if order == "first" else GOOD + text)
    zipped(raw / "WIDER_val.zip", {f"WIDER_val/images/{file}": jpeg() for file in ("a/a.jpg", "z/good.jpg")})
    result = preprocess.write(raw, SETTINGS.model_copy(update={"max_bad_share": 1.0}), tmp_path / "out")
    assert (result.counts["test"], result.skipped) == (1, 1)
    assert Data(tmp_path / "out", "test").index.file.tolist() == ["z/good.jpg"]
    (listed,) = pd.read_csv(tmp_path / "out" / "skipped.csv").itertuples(index=False)
    assert (listed.file, listed.kind) == (name, "annotation")
    assert reason in listed.reason


def test_what_comes_before_the_first_name_is_listed(raw):
    (raw / "wider_face_val_bbx_gt.txt").write_text(f"{FACE}\n{FACE}\n{GOOD}")
    data = readers.read(raw, SETTINGS)
    assert [(problem.file, problem.kind) for problem in data.problems] == [(FACE, "annotation")]
    assert len(data.items["z/good.jpg"].boxes) == 1


@pytest.mark.parametrize(
    ("text", "reason"), [*((text, reason) for text, _, reason in BAD), ("<html>\n</html>", "no photograph's name")]
)
def test_a_list_without_an_entry_that_can_be_used_is_a_sentence(raw, text, reason):
    with pytest.raises(Error, match=rf"not WIDER FACE's list of boxes: line \d of the list: .*{reason}"):
        faces(raw, text)


def test_the_training_photographs_are_a_data_set_of_their_own(raw, tmp_path):
    names = [f"0--Parade/{i}.jpg" for i in range(10)]
    (raw / "wider_face_train_bbx_gt.txt").write_text("".join(f"{name}\n1\n{FACE}\n" for name in names))
    zipped(raw / "WIDER_train.zip", {f"WIDER_train/images/{name}": jpeg() for name in names})
    result = preprocess.write(raw, block("wider-face-train", task="detect", size=80, validation=0.2, test=0), tmp_path / "out")
    assert result.counts == {"train": 8, "val": 2, "test": 0}
