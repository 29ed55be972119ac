import zipfile

import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import block, jpeg


def test_wider_face_has_boxes_of_faces_and_photographs_without(raw, tmp_path):
    """A face is x, y, width, height, blur, expression, illumination, invalid, occlusion, pose."""
    listed = "0--Parade/a.jpg\n2\n4 3 10 6 0 0 0 0 0 0 \n20 10 5 5 2 0 0 1 2 0 \n1--Handshaking/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
    (raw / "wider_face_val_bbx_gt.txt").write_text(listed)
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
    (raw / "wider_face_val_bbx_gt.txt").write_text("0--Parade/a.jpg\n3\n4 3 10 6 0 0 0 0 0 0\n")
    with pytest.raises(Error, match="not WIDER FACE's list of boxes"):
        readers.read(raw, block("wider-face", task="detect", size=80))
