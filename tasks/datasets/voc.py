"""The layout of PASCAL VOC: lists of names, an XML file of boxes an image, and the images, in a tar archive."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives, xml_tree
from tasks.datasets.records import Box, Image, Item, Problem, Raw
from tasks.datasets.values import FAR, decimal, whole

if TYPE_CHECKING:
    from tasks.datasets.data import Split


def read(path: Path, lists: "dict[str, Split]", classes: tuple[str, ...]) -> Raw:
    """ImageSets/Main/<list>.txt, Annotations/<name>.xml, JPEGImages/<name>.jpg under any folder of a tar archive.

    An annotation that cannot be used is a problem. Raises Error where a list is missing, and where two lists share a name.
    """
    splits: dict[str, Split] = {}
    sources: dict[str, bytes] = {}
    twice: set[str] = set()
    wanted = {f"ImageSets/Main/{name}.txt": split for name, split in lists.items()}
    found: set[str] = set()
    for name, content in archives.read_members(path, lambda n: archives.tail(n, 3) in wanted or _is(n, "Annotations", ".xml")):
        stem, tail = Path(name).stem, archives.tail(name, 3)
        if tail in wanted:
            found.add(tail)
            _add(path, splits, _stems(path, name, content), wanted[tail])
        elif stem in sources:
            twice.add(stem)
        else:
            sources[stem] = content
    if missing := wanted.keys() - found:
        raise Error(f"{path}: no {', '.join(sorted(missing))} in it; is it another edition?")
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    for stem, split in splits.items():
        file = f"{stem}.jpg"
        items[file] = Item(split)
        try:
            if stem in twice:
                raise ValueError("the archive holds two")
            items[file] = _item(file, split, sources[stem])
        except KeyError:
            problems.append(Problem(file, "annotation", "no annotation"))
        except ValueError as error:
            problems.append(Problem(file, "annotation", f"not a VOC annotation of this image: {error}"))

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(path, lambda n: _is(n, "JPEGImages", ".jpg") and Path(n).name in items):
            yield Path(name).name, content

    return Raw(items, images, classes, problems)


def _is(name: str, folder: str, suffix: str) -> bool:
    return name.endswith(suffix) and f"/{name}".split("/")[-2] == folder


def _stems(path: Path, name: str, content: bytes) -> list[str]:
    try:
        return [line.split()[0] for line in content.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise Error(f"{path}: {name} is no text; delete the archive and download again") from None


def _add(path: Path, splits: "dict[str, Split]", stems: list[str], split: "Split") -> None:
    for stem in stems:
        if splits.setdefault(stem, split) != split:
            raise Error(f"{path}: {stem} is in the lists of {splits[stem]} and {split}, and may be in one only")


def _item(file: str, split: "Split", source: bytes) -> Item:
    root = xml_tree.parse(source)
    if (named := root.findtext("filename", "").strip()) != file:
        raise ValueError(f"it names {named!r}")
    boxes = []
    for thing in root.iter("object"):
        x1, y1, x2, y2 = (decimal(thing.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
        # VOC counts pixels from 1 and its boxes include the last one.
        difficult = thing.findtext("difficult", "0").strip() == "1"
        boxes.append(Box(thing.findtext("name", "").strip(), x1 - 1, y1 - 1, x2, y2, difficult))
    width, height = (whole(root.findtext(f"size/{key}", ""), 0, FAR) for key in ("width", "height"))
    return Item(split, boxes=tuple(boxes), size=(width, height))
