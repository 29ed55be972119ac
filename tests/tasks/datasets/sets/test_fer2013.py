import gzip

from tasks import preprocess
from tasks.datasets.data import Data
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
    assert Data(tmp_path / "out", "test").labels.tolist() == [3]
