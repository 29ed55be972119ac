from pathlib import Path

import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.sets import utkface
from tests.tasks.datasets.layouts import block, jpeg, tar

SETTINGS = block("utkface", task="translate", size=16, validation=0, test=0)
GOOD = ("1_0_0_20161219140623097.jpg.chip.jpg", "116_1_4_20170112213500903.jpg.chip.jpg")


def test_age_and_gender_stand_in_the_name(raw: Path, tmp_path: Path) -> None:
    tar(
        raw / "UTKFace.tar.gz",
        {f"UTKFace/{name}": jpeg() for name in GOOD} | {"UTKFace/.DS_Store": b"mac", f"UTKFace/._{GOOD[0]}": b"m"},
    )
    data = readers.read(raw, SETTINGS)
    assert data.problems == []
    assert {name: item.attributes for name, item in data.items.items()} == {
        GOOD[0]: {"age": 1, "gender": 0},
        GOOD[1]: {"age": 116, "gender": 1},
    }
    assert preprocess.write(raw, SETTINGS, tmp_path / "out").counts["train"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109150557335.jpg.chip.jpg",
        "61_3_20170109150557335.jpg.chip.jpg",
        "117_1_0_20170109150557335.jpg.chip.jpg",
        "300_1_0_20170109150557335.jpg.chip.jpg",
        "-1_1_0_20170109150557335.jpg.chip.jpg",
        "30_2_0_20170109150557335.jpg.chip.jpg",
        "30_1_5_20170109150557335.jpg.chip.jpg",
        "30_1_0_20170109150557335.jpg",
        "_1_0_20170109150557335.jpg.chip.jpg",
    ],
)
def test_a_damaged_name_is_listed(raw: Path, name: str) -> None:
    tar(raw / "UTKFace.tar.gz", {f"UTKFace/{one}": jpeg() for one in (*GOOD, name)})
    data = readers.read(raw, SETTINGS)
    assert [(problem.file, problem.kind) for problem in data.problems] == [(name, "annotation")]
    assert data.items[name].attributes == {}


def test_two_of_one_name_are_listed_and_an_archive_without_faces_is_a_sentence(raw: Path) -> None:
    tar(raw / "UTKFace.tar.gz", {f"{folder}/{GOOD[0]}": jpeg() for folder in "ab"})
    assert readers.read(raw, SETTINGS).problems[0].reason == "the archive holds two of this name"
    tar(raw / "UTKFace.tar.gz", {"readme.txt": b""})
    with pytest.raises(Error, match="no faces"):
        readers.read(raw, SETTINGS)


def test_attributes_of_names_are_ones_and_zeros_and_what_a_name_lacks_is_marked() -> None:
    found = utkface.attributes([*GOOD, "30_0_0_1.jpg.chip.jpg", "29_1_0_1.jpg.chip.jpg", "300_1_0_1.jpg.chip.jpg"])
    assert found["older"].tolist() == [0, 1, 1, 0, -1]
    assert found["female"].tolist() == [0, 1, 0, 1, -1]
