import numpy as np
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.classify.data import labels
from tests.tasks.datasets.layouts import block, digits


def test_mnist_5k_has_as_many_held_out_of_each_digit(raw, tmp_path):
    table = digits(raw)
    result = preprocess.write(raw, block("mnist-5k", task="classify", validation=20, test=30), tmp_path / "out")
    assert result.counts == {"train": 50, "val": 20, "test": 30}
    for split, each in (("train", 5), ("val", 2), ("test", 3)):
        assert np.bincount(labels(Data(tmp_path / "out", split))).tolist() == [each] * 10
    data = Data(tmp_path / "out", "train")
    row = int(data.index.file[0].removeprefix("row-"))
    assert np.array_equal(data.images[0].reshape(-1), table[row, :784])
    (raw / "mnist_5k.csv.gz").write_bytes((raw / "mnist_5k.csv.gz").read_bytes()[:-9])
    with pytest.raises(Error, match=r"mnist_5k.csv.gz: cannot be read"):
        readers.read(raw, block("mnist-5k", task="classify", validation=20, test=30))
