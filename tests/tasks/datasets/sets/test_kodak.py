import io
from pathlib import Path

import pytest
from PIL import Image

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tests.tasks.datasets.layouts import block

SETTINGS = block("kodak", task="translate", size=16, max_bad_share=0.2)


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def kodak(raw: Path) -> Path:
    for number in range(1, 25):
        (raw / f"kodim{number:02d}.png").write_bytes(png(768, 512) if number % 3 else png(512, 768))
    return raw


def test_all_photographs_are_test(kodak: Path, tmp_path: Path) -> None:
    result = preprocess.write(kodak, SETTINGS, tmp_path / "out")
    assert (result.counts, result.skipped) == ({"train": 0, "val": 0, "test": 24}, 0)


def test_a_photograph_that_is_not_the_publishers_is_listed(kodak: Path, tmp_path: Path) -> None:
    (kodak / "kodim03.png").write_bytes(png(767, 512))
    (kodak / "kodim05.png").write_bytes(b"<html>not found</html>")
    (kodak / "kodim07.png").write_bytes(png(768, 512)[:-200])
    problems = readers.read(kodak, SETTINGS).problems
    assert [(problem.file, problem.kind) for problem in problems] == [("kodim03.png", "image"), ("kodim05.png", "image")]
    result = preprocess.write(kodak, SETTINGS, tmp_path / "out")
    assert (result.counts["test"], result.skipped) == (21, 3)


def test_one_that_is_missing_is_a_sentence(kodak: Path) -> None:
    (kodak / "kodim24.png").unlink()
    with pytest.raises(Error, match=r"kodim24.png: no such file; run: dvc repro download@kodak"):
        readers.read(kodak, SETTINGS)
