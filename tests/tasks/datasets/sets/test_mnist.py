import gzip
import struct

import numpy as np
import pytest

from tasks.common.errors import Error
from tasks.datasets import readers
from tests.tasks.datasets.layouts import block


def test_mnist_reads_idx_and_refuses_a_short_file(raw):
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    for name in ("train", "t10k"):
        head = struct.pack(">4B3I", 0, 0, 8, 3, 3, 28, 28)
        (raw / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        (raw / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes([4, 5, 6])))
    data = readers.read(raw, block("mnist", task="classify", validation=1))
    assert [item.label for item in data.items.values()] == [4, 5, 6, 4, 5, 6]
    assert np.array_equal(dict(data.images())["t10k-2"], images[2])
    (raw / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()[:-1]))
    with pytest.raises(Error, match="IDX"):
        readers.read(raw, block("mnist", task="classify", validation=1))


def test_a_missing_file_says_how_to_get_it(raw):
    with pytest.raises(Error, match="dvc repro download@mnist"):
        readers.read(raw, block("mnist", task="classify", validation=1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack(">4BI", 0, 0, 8, 3, 1),
        # The product of these is 2**64, which is 0 in 64 bits.
        struct.pack(">4B3I", 0, 0, 8, 3, 1 << 31, 1 << 31, 4),
        struct.pack(">4B3I", 0, 0, 13, 3, 1, 1, 1) + b"1",
    ],
)
def test_a_damaged_idx_header_is_refused(raw, content):
    (raw / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(Error, match=r"train-images-idx3-ubyte.gz: not an IDX file"):
        readers.read(raw, block("mnist", task="classify", validation=1))
