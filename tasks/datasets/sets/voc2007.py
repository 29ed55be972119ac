"""PASCAL VOC 2007: photographs with the boxes of things of 20 classes."""

from pathlib import Path

from tasks.datasets import voc
from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def _file(name: str, size: int, sha256: str, optional: bool = False) -> File:
    hosts = ("https://thor.robots.ox.ac.uk", "http://host.robots.ox.ac.uk")
    return File(
        name, tuple(f"{host}/pascal/VOC/voc2007/{name}" for host in hosts), sha256, TFDS.format("voc"), size, None, optional
    )


SOURCE = Dataset(
    "images under Flickr's terms of use; for research",
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    files=(
        _file("VOCtrainval_06-Nov-2007.tar", 460032000, "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508"),
        _file("VOCtest_06-Nov-2007.tar", 451020800, "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892", True),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's `train` is train, its `val` test, as the detectors that we compare with were validated."""
    return voc.read(folder / "VOCtrainval_06-Nov-2007.tar", {"train": "train", "val": "test"}, CLASSES)
