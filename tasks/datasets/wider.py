"""WIDER FACE: photographs of 61 kinds of events, and lists of the boxes of faces."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Box, Image, Item, Raw
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

    Faces that are marked invalid, heavily occluded ones and boxes of less than a pixel are `difficult`. Raises Error for a list of
    another layout, and where its counts do not add up.
    """
    boxes = _boxes(folder / f"wider_face_{part}_bbx_gt.txt")
    items = {name: Item(split, boxes=own) for name, own in boxes.items()}

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(folder / f"WIDER_{part}.zip", lambda n: archives.tail(n, 2) in items):
            yield archives.tail(name, 2), content

    return Raw(items, images, ("face",))


def _boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """The faces by the photographs' names: a line with the name, a line with the number of faces, and a line a face."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found: dict[str, tuple[Box, ...]] = {}
    at = 0
    try:
        while at < len(lines):
            name = lines[at].strip()
            if name:
                if not name.lower().endswith(".jpg"):
                    raise ValueError(f"{name[:60]!r} is no photograph; are there more faces than were announced?")
                if name in found:
                    raise ValueError(f"{name!r} comes twice")
                at += 1
                count = whole(_line(lines, at), 0, 100_000)
                boxes = []
                for _ in range(count):
                    at += 1
                    boxes.append(_box(_line(lines, at)))
                found[name] = tuple(boxes)
                # A photograph without faces has one line of zeros.
                if not count and at + 1 < len(lines) and lines[at + 1].split() == ["0"] * 10:
                    at += 1
            at += 1
    except ValueError as error:
        raise Error(f"{path}: not WIDER FACE's list of boxes: line {at + 1}: {error}; delete it and download again") from None
    return found


def _line(lines: list[str], at: int) -> str:
    if at >= len(lines):
        raise ValueError("the list ends, and more faces were announced")
    return lines[at]


def _box(line: str) -> Box:
    """x, y, width, height, blur, expression, illumination, invalid (0, 1), occlusion (0 to 2: heavy), pose."""
    values = line.split()
    if len(values) != 10:
        raise ValueError(f"{line[:60]!r} is no face, which has ten numbers; are there fewer faces than were announced?")
    x, y, width, height = (whole(value, -FAR, FAR) for value in values[:4])
    invalid, occlusion = whole(values[7], 0, 1), whole(values[8], 0, 2)
    return Box("face", x, y, x + width, y + height, invalid == 1 or occlusion == 2 or width < 1 or height < 1)
