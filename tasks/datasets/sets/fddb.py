"""FDDB: news photographs with the boxes of faces."""

from pathlib import Path

from tasks.datasets import voc
from tasks.datasets.records import Raw, Settings
from tasks.datasets.sources import Dataset, File

# The publisher has photographs (originalPics.tar.gz) and ellipses (FDDB-folds.tgz) apart, in a layout of their own.
SOURCE = Dataset(
    "for research, citing Jain and Learned-Miller 2010",
    "http://vis-www.cs.umass.edu/fddb/",
    files=(File("FDDB2007.tar", ()),),
    by_hand="the publisher's originalPics.tar.gz and FDDB-folds.tgz have another layout; pack the photographs like VOC: "
    "FDDB2007/JPEGImages/*.jpg, FDDB2007/Annotations/*.xml (boxes around the ellipses), FDDB2007/ImageSets/Main/train.txt",
)


def read(folder: Path, _: Settings) -> Raw:
    """The photographs in VOC's layout, all `train`."""
    return voc.read(folder / "FDDB2007.tar", {"train": "train"}, ("face",))
