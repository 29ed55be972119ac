"""The layout of PASCAL VOC: lists of names, an XML file of boxes an image, and the images, in a tar archive."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Box, Image, Item, Problem, Raw

if TYPE_CHECKING:
    from tasks.datasets.data import Split


def read(path: Path, lists: "dict[str, Split]", classes: tuple[str, ...]) -> Raw:
    """ImageSets/Main/<list>.txt, Annotations/<name>.xml, JPEGImages/<name>.jpg under any folder of a tar archive."""
    splits: dict[str, Split] = {}
    sources: dict[str, bytes] = {}
    wanted = {f"ImageSets/Main/{name}.txt": split for name, split in lists.items()}
    for name, content in archives.read_members(path, lambda name: name.endswith(".xml") or archives.tail(name, 3) in wanted):
        if name.endswith(".xml"):
            sources[Path(name).stem] = content
        else:
            splits |= {line.split()[0]: wanted[archives.tail(name, 3)] for line in content.decode().splitlines() if line.strip()}
    if not splits:
        raise Error(f"{path}: none of {', '.join(wanted)} in it")
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    for stem, split in splits.items():
        items[f"{stem}.jpg"] = Item(split)
        try:
            items[f"{stem}.jpg"] = _item(f"{stem}.jpg", split, sources[stem])
        except KeyError:
            problems.append(Problem(f"{stem}.jpg", "annotation", "no annotation"))
        except (ET.ParseError, ValueError) as error:
            problems.append(Problem(f"{stem}.jpg", "annotation", f"not a VOC annotation of this image: {error}"))

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(path, lambda n: n.endswith(".jpg") and Path(n).name in items):
            yield Path(name).name, content

    return Raw(items, images, classes, problems)


def _item(file: str, split: "Split", source: bytes) -> Item:
    if b"<!" in source:
        raise ValueError("it declares a document type or entities")
    root = ET.fromstring(source)
    if (named := root.findtext("filename", "").strip()) != file:
        raise ValueError(f"it names {named!r}")
    boxes = []
    for thing in root.iter("object"):
        x1, y1, x2, y2 = (float(thing.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
        # VOC counts pixels from 1 and its boxes include the last one.
        boxes.append(
            Box(thing.findtext("name", "").strip(), x1 - 1, y1 - 1, x2, y2, thing.findtext("difficult", "0").strip() == "1")
        )
    width, height = (int(root.findtext(f"size/{key}", "")) for key in ("width", "height"))
    return Item(split, boxes=tuple(boxes), size=(width, height))
