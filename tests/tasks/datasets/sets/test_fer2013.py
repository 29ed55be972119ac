import gzip

import numpy as np
import pytest

from tasks import preprocess
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.classify.data import labels
from tests.tasks.datasets.layouts import block


def test_fer2013_rows_and_a_bad_one(raw, tmp_path):
    face = " ".join(["7", "77", "255"] * 768)
    rows = [f"{i},{face},{use}" for i, use in enumerate(["Training", "Training", "PublicTest", "PrivateTest"])]
    rows += [f"1,{face[:-2]}999,Training", "9,1 2 3,Training"]
    (raw / "fer2013.csv.gz").write_bytes(gzip.compress("\n".join(["emotion,pixels,Usage", *rows]).encode()))
    result = preprocess.write(raw, block("fer2013", task="classify", max_bad_share=0.5), tmp_path / "out")
    assert result.counts == {"train": 2, "val": 1, "test": 1}
    assert result.skipped == 2
    assert Data(tmp_path / "out", "train").images[1].ravel()[:4].tolist() == [7, 77, 255, 7]
    assert labels(Data(tmp_path / "out", "test")).tolist() == [3]


@pytest.mark.parametrize("value", ["256", "299", "300", "355", "399", "999", "-1", "0x1", "٣", "1.5", ""])
def test_a_pixel_out_of_range_is_refused_with_its_row(raw, value):
    """What is three digits long and starts with 3 or more does not fit the byte that it was computed in."""
    good, bad = " ".join(["7"] * 2304), " ".join(["7"] * 2303 + [value])
    rows = [f"0,{good},Training", f"0,{bad},Training", f"7,{good},Training", f"-1,{good},Training", f"1_0,{good},Test", "3"]
    (raw / "fer2013.csv.gz").write_bytes(gzip.compress("\n".join(["emotion,pixels,Usage", *rows]).encode()))
    data = readers.read(raw, block("fer2013", task="classify"))
    assert [name for name, _ in data.images()] == ["row-0"]
    assert [problem.file for problem in data.problems] == ["row-1", "row-2", "row-3", "row-4", "row-5"]
    assert all("emotion 0-6, 48x48 bytes and usage" in problem.reason for problem in data.problems)


def test_all_bytes_are_read(raw):
    pixels = np.arange(2304) % 256
    (raw / "fer2013.csv.gz").write_bytes(gzip.compress(f"emotion,pixels,Usage\n0,{' '.join(map(str, pixels))},Training".encode()))
    (name, image), *_ = readers.read(raw, block("fer2013", task="classify")).images()
    assert name == "row-0"
    assert np.array_equal(image, pixels.reshape(48, 48))
