import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tasks import preprocess
from tasks.datasets.data import Data
from tasks.datasets.sets import kodak, wider_kodak
from tasks.kinds.compress import data
from tests.tasks.datasets.layouts import block
from tests.tasks.datasets.sets.test_kodak import png


def jpeg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_it_learns_from_the_one_and_is_tested_on_the_other(raw: Path, tmp_path: Path) -> None:
    names = [f"0--Parade/{number}.jpg" for number in range(5)]
    (raw / "wider_face_train_bbx_gt.txt").write_text("".join(f"{name}\n1\n4 3 10 6 0 0 0 0 0 0\n" for name in names))
    with zipfile.ZipFile(raw / "WIDER_train.zip", "w") as archive:
        for name in names:
            archive.writestr(f"WIDER_train/images/{name}", jpeg(40, 90))
    for number, name in enumerate(kodak.NAMES):
        (raw / name).write_bytes(png(*kodak.SIZES[number % 2]))
    settings = block("wider-kodak", task="compress", size=32, crops_per_image=2, shrink=2.0, validation=0.2)
    result = preprocess.write(raw, settings, tmp_path / "out")
    assert result.counts == {"train": 8, "val": 2, "test": 24}
    assert {file.split("/")[0] for file in Data(tmp_path / "out", "train").index["file"]} == {"0--Parade"}
    found = dict(data.photographs(Data(tmp_path / "out", "test")))
    assert [*found] == [*kodak.NAMES]
    assert {pixels.shape for pixels in found.values()} == {(512, 768, 3), (768, 512, 3)}


def test_its_files_are_those_of_both() -> None:
    assert {file.name for file in wider_kodak.SOURCE.files} == {"WIDER_train.zip", "wider_face_train_bbx_gt.txt", *kodak.NAMES}
