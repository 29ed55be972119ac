import numpy as np
import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.classify.data import labels
from tests.tasks.datasets.layouts import block, tar


def test_cifar_planes_become_rgb_pixels(raw):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    rows = b"".join(bytes([label]) + p.transpose(2, 0, 1).tobytes() for label, p in zip((3, 1), pixels, strict=True))
    files = {"c/batches.meta.txt": b"a\nb\nc\nd\n\n", "c/data_batch_1.bin": rows, "c/test_batch.bin": rows}
    tar(raw / "cifar-10-binary.tar.gz", files)
    data = readers.read(raw, block("cifar10", task="classify", validation=1))
    assert data.classes == ("a", "b", "c", "d")
    assert [item.label for item in data.items.values()] == [3, 1, 3, 1]
    assert np.array_equal(dict(data.images())["test-1"], pixels[1])
    tar(raw / "cifar-10-binary.tar.gz", files | {"c/test_batch.bin": rows[:-1]})
    with pytest.raises(Error, match="cut short"):
        readers.read(raw, block("cifar10", task="classify", validation=1))


def test_cifar100_takes_the_fine_labels(raw, tmp_path):
    """cifar-100-binary/{train,test}.bin: a row is the coarse label, the fine one, and the planes."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    rows = [bytes([i % 2, 3 + i]) + p.transpose(2, 0, 1).tobytes() for i, p in enumerate(pixels)]
    names = {"fine_label_names.txt": "".join(f"fine_{i}\n" for i in range(100)), "coarse_label_names.txt": "c0\nc1\n"}
    files = {"train.bin": b"".join(rows[:4]), "test.bin": b"".join(rows[4:])}
    files |= {name: text.encode() for name, text in names.items()}
    tar(raw / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{name}": content for name, content in files.items()})
    result = preprocess.write(raw, block("cifar100", task="classify", validation=1), tmp_path / "out")
    assert result.counts == {"train": 3, "val": 1, "test": 2}
    assert (len(result.classes), result.classes[7], result.size, result.channels) == (100, "fine_7", 32, 3)
    test = Data(tmp_path / "out", "test")
    assert labels(test).tolist() == [7, 8]
    assert np.array_equal(test.images, pixels[4:])
    assert sorted([*labels(Data(tmp_path / "out", "train")), *labels(Data(tmp_path / "out", "val"))]) == [3, 4, 5, 6]


def test_a_part_that_comes_twice_and_a_label_that_is_no_class_are_refused(raw):
    row = bytes([0]) + bytes(3072)
    files = {"batches.meta.txt": b"a\nb\n", "data_batch_1.bin": row, "test_batch.bin": row}
    tar(raw / "cifar-10-binary.tar.gz", files | {"again/data_batch_1.bin": row})
    with pytest.raises(Error, match=r"two files are called data_batch_1.bin"):
        readers.read(raw, block("cifar10", task="classify", validation=1))
    tar(raw / "cifar-10-binary.tar.gz", files | {"test_batch.bin": bytes([2]) + bytes(3072)})
    with pytest.raises(Error, match="labels up to 2 for 2 classes"):
        readers.read(raw, block("cifar10", task="classify", validation=1))
    tar(raw / "cifar-10-binary.tar.gz", files | {"batches.meta.txt": b"\xff"})
    with pytest.raises(Error, match=r"batches.meta.txt is no text"):
        readers.read(raw, block("cifar10", task="classify", validation=1))
