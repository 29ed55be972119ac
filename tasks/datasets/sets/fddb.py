"""FDDB: 2,845 news photographs with 5,171 faces, each an ellipse."""

import math
from collections.abc import Iterator
from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import archives, counted, voc
from tasks.datasets.records import Box, Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import Dataset, File
from tasks.datasets.values import decimal

PHOTOGRAPHS, FOLDS, REPACKED = "originalPics.tar.gz", "FDDB-folds.tgz", "FDDB2007.tar"
FOLD = "FDDB-fold-{:02d}-ellipseList.txt"

SOURCE = Dataset(
    "for research, citing Jain and Learned-Miller 2010",
    "http://vis-www.cs.umass.edu/fddb/",
    files=(
        # The photographs are those of Berg et al. 2005, "Names and faces in the news".
        File(
            PHOTOGRAPHS, (f"http://tamaraberg.com/faceDataset/{PHOTOGRAPHS}", f"http://vis-www.cs.umass.edu/fddb/{PHOTOGRAPHS}")
        ),
        File(FOLDS, (f"http://vis-www.cs.umass.edu/fddb/{FOLDS}",)),
    ),
    # VOC's layout: JPEGImages/*.jpg, Annotations/*.xml (boxes around the ellipses), ImageSets/Main/train.txt.
    repacked=(File(REPACKED, ()),),
)


def read(folder: Path, _: Settings) -> Raw:
    """All photographs are `train`; boxes enclose the ellipses. The publisher's layout, or a mirror's in the layout of VOC.

    A photograph whose entry in a fold cannot be used is a problem. Raises Error for a fold that is missing or of another layout.
    """
    if (folder / REPACKED).exists():
        return voc.read(folder / REPACKED, {"train": "train"}, ("face",))
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    wanted = [FOLD.format(number) for number in range(1, 11)]
    folds = {
        Path(name).name: content
        for name, content in archives.read_members(folder / FOLDS, lambda name: archives.tail(name, 1) in wanted)
    }
    for name in wanted:
        if name not in folds:
            raise Error(f"{folder / FOLDS}: no {name} in this archive; is it another edition?")
        _fold(name, folds[name].decode(errors="replace"), items, problems)

    def images() -> Iterator[tuple[str, Image]]:
        # 2002/07/19/big/img_130.jpg, whatever folder that stands in.
        for name, content in archives.read_members(folder / PHOTOGRAPHS, lambda n: archives.tail(n, 5) in items):
            yield archives.tail(name, 5), content

    return Raw(items, images, ("face",), problems)


def _fold(where: str, text: str, items: dict[str, Item], problems: list[Problem]) -> None:
    """Add a fold's photographs, whose names stand there without their ending. Raises Error for a text in which no entry can be used."""
    entries = counted.entries(text)
    lost = []
    for entry in entries:
        file = f"{entry.name}.jpg"
        try:
            if file in items:
                raise ValueError("the folds have it more than once")
            rows = entry.faces()
        except ValueError as error:
            items.setdefault(file, Item("train"))
            lost.append(Problem(file, "annotation", f"{where}, line {entry.line}: {error}"))
            continue
        boxes = []
        for row in rows:
            try:
                boxes.append(_box(row))
            except ValueError as error:
                problems.append(Problem(file, "box", f"not an ellipse: {error}"))
        items[file] = Item("train", boxes=tuple(boxes))
    if lost and len(lost) == len(entries):
        raise Error(f"{lost[0].reason}; no entry can be used: is it another edition?")
    problems.extend(lost)


def _box(line: str) -> Box:
    """The box around an ellipse: major radius, minor radius, angle in radians, centre x, centre y, and 1."""
    values = line.split()
    if len(values) != 6:
        raise ValueError(f"{line[:60]!r} are not six numbers")
    major, minor, angle, x, y, _ = map(decimal, values)
    if major <= 0 or minor <= 0:
        raise ValueError(f"its radii are {major:g} and {minor:g}")
    width = math.hypot(major * math.cos(angle), minor * math.sin(angle))
    height = math.hypot(major * math.sin(angle), minor * math.cos(angle))
    return Box("face", x - width, y - height, x + width, y + height)
