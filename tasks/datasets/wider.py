"""WIDER FACE: photographs of 61 kinds of events, and lists of the boxes of faces."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives, counted
from tasks.datasets.records import Box, Image, Item, Problem, Raw
from tasks.datasets.sources import TFDS, Dataset, File
from tasks.datasets.values import FAR, whole

if TYPE_CHECKING:
    from tasks.datasets.data import Split

_HUGGING_FACE = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/833d07e7bf3860f294242312fe95eed0561eeb17/data/{}"
_PUBLISHED = TFDS.format("wider_face")


def source(part: str, size: int, sha256: str, within: tuple[str, ...] = ()) -> Dataset:
    """The photographs of a `part` (train, val), whose archive has that size and hash, and their list of boxes."""
    photographs = f"WIDER_{part}.zip"
    boxes = f"wider_face_{part}_bbx_gt.txt"
    split = "wider_face_split.zip"
    return Dataset(
        "CC BY-NC-ND 4.0",
        "http://shuoyang1213.me/WIDERFACE/",
        files=(
            File(
                photographs,
                (_HUGGING_FACE.format(photographs), f"https://dataset.bj.bcebos.com/wider_face/{photographs}"),
                sha256,
                _PUBLISHED,
                size,
            ),
            File(
                boxes,
                (_HUGGING_FACE.format(split), f"http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/{split}"),
                "c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c",
                _PUBLISHED,
                3591642,
                member=f"wider_face_split/{boxes}",
            ),
        ),
        within=within,
    )


def read(folder: Path, part: str, split: "Split") -> Raw:
    """The photographs of a part, all of one split.

    Faces that are marked invalid, heavily occluded ones and boxes of less than a pixel are `difficult`. A photograph whose entry in
    the list cannot be used is a problem. Raises Error for a list in which no entry can be.
    """
    path = folder / f"wider_face_{part}_bbx_gt.txt"
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    for entry in counted.entries(path.read_text(encoding="utf-8", errors="replace")):
        try:
            if entry.name in items:
                raise ValueError("the list has it more than once")
            items[entry.name] = Item(split, boxes=_boxes(entry))
        except ValueError as error:
            items.setdefault(entry.name, Item(split))
            problems.append(Problem(entry.name, "annotation", f"line {entry.line} of the list: {error}"))
    if problems and len({problem.file for problem in problems}) == len(items):
        raise Error(f"{path}: not WIDER FACE's list of boxes: {problems[0].reason}; delete it and download again")

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(folder / f"WIDER_{part}.zip", lambda n: archives.tail(n, 2) in items):
            yield archives.tail(name, 2), content

    return Raw(items, images, ("face",), problems)


def _boxes(entry: counted.Entry) -> tuple[Box, ...]:
    """The faces of a photograph. One without faces has a row of zeros, or none."""
    if not entry.name.lower().endswith(".jpg"):
        raise ValueError(f"{entry.name[:60]!r} is no photograph's name")
    if [row.split() for row in entry.rows] == [["0"], ["0"] * 10]:
        return ()
    return tuple(map(_box, entry.faces()))


def _box(line: str) -> Box:
    """x, y, width, height, blur, expression, illumination, invalid (0, 1), occlusion (0 to 2: heavy), pose."""
    values = line.split()
    if len(values) != 10:
        raise ValueError(f"{line[:60]!r} is no face, which has ten numbers")
    x, y, width, height = (whole(value, -FAR, FAR) for value in values[:4])
    invalid, occlusion = whole(values[7], 0, 1), whole(values[8], 0, 2)
    return Box("face", x, y, x + width, y + height, invalid == 1 or occlusion == 2 or width < 1 or height < 1)
