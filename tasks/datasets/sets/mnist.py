"""MNIST: 60,000 and 10,000 handwritten digits, 28x28 grey, in IDX files."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File


def _file(name: str, size: int, sha256: str) -> File:
    urls = (f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}", f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}")
    return File(name, urls, sha256, TFDS.format("mnist"), size)


SOURCE = Dataset(
    "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)",
    "https://yann.lecun.com/exdb/mnist/",
    files=(
        _file("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        _file("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        _file("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        _file("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's train and test."""
    from tasks.datasets import idx
    from tasks.datasets.labelled import labelled

    images, labels = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
    parts = {
        name: (idx.read(folder / images.format(name), 3), idx.read(folder / labels.format(name), 1), name)
        for name in ("train", "t10k")
    }
    return labelled({"train": parts["train"], "test": parts["t10k"]}, tuple("0123456789"))
