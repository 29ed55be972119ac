"""Annotation files in COCO's format: images, boxes, captions."""

import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.damage import damaged
from tasks.datasets.records import Box, Item, Problem
from tasks.datasets.values import FAR, pixels, within

if TYPE_CHECKING:
    from tasks.datasets.data import Split

_MAX_ID = 2**63 - 1


def load(path: Path, content: bytes) -> Any:
    """What a JSON file of `path` says. Raises Error for what is no JSON, or nested deeper than any annotation is."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise damaged(path, error) from None
    except RecursionError:
        raise damaged(path, ValueError("its brackets are nested too deep")) from None


def images(content: bytes) -> list[tuple[str, tuple[int, int]]]:
    """File name, and width and height in pixels, of an annotation file's images, by image id; a name that comes twice once.

    Raises ValueError for a file of another format, and for a name that is no plain file name.
    """
    try:
        listed = sorted(json.loads(content)["images"], key=lambda image: int(image["id"]))
        found: dict[str, tuple[int, int]] = {}
        for image in listed:
            # The names come from the network, and become paths.
            if not re.fullmatch(r"\w[\w.-]*", image["file_name"]):
                raise ValueError(f"not a plain file name: {image['file_name']!r}")
            found.setdefault(image["file_name"], (int(image["width"]), int(image["height"])))
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(repr(error)) from None
    return list(found.items())


def classes(content: Any) -> dict[int, str]:
    """The names of the categories by their ids. Raises ValueError for another format, and for an id or a name that comes twice."""
    found: dict[int, str] = {}
    for category in _entries(content, "categories"):
        name, number = category.get("name"), within(category.get("id"), 0, _MAX_ID)
        if not isinstance(name, str) or number in found or name in found.values():
            raise ValueError(f"category {number} {name!r} comes twice or has no name")
        found[number] = name
    return found


@dataclass
class Annotated:
    """Images by `<place>/<file name>`, in the order of the annotation file."""

    items: dict[str, Item] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: dict[int, str] = field(default_factory=dict)  # of the images that are taken, by their ids


def annotated(content: Any, place: str, split: "Split", wanted: Collection[str], names: dict[int, str]) -> Annotated:
    """The `wanted` images of an annotation file with their boxes; crowds are `difficult`. `names` are the categories'.

    An entry that cannot be used is a problem. Two images of one id are one each: nothing says whose the boxes are. Raises ValueError
    for another format.
    """
    result = Annotated()
    sizes: dict[str, tuple[int, int]] = {}
    listed = _entries(content, "images")
    ids = Counter(str(image.get("id")) for image in listed)
    files = Counter(str(image.get("file_name")) for image in listed)
    unwanted: set[int] = set()
    for image in listed:
        name = image.get("file_name")
        file = f"{place}/{name}" if isinstance(name, str) else f"{place}/?"
        try:
            number = within(image.get("id"), 0, _MAX_ID)
            if file not in wanted and isinstance(name, str):
                unwanted.add(number)
                continue
            if not isinstance(name, str):
                raise ValueError("it has no file name")
            result.items.setdefault(file, Item(split))
            if ids[str(number)] > 1:
                raise ValueError(f"its id, {number}, is another image's too")
            if files[name] > 1:
                raise ValueError("it is listed more than once")
            sizes[file] = within(image.get("width"), 1, FAR), within(image.get("height"), 1, FAR)
            result.files[number] = file
        except ValueError as error:
            if file in wanted:
                result.items.setdefault(file, Item(split))
            result.problems.append(Problem(file, "annotation", f"not an image of COCO's: {error}"))
    boxes: dict[str, list[Box]] = {file: [] for file in sizes}
    for entry in _entries(content, "annotations"):
        named = entry.get("image_id")
        try:
            number = within(named, 0, _MAX_ID)
            known = number in result.files
            if not known and number not in unwanted and ids[str(number)] == 0:
                raise ValueError
        except ValueError:
            result.problems.append(Problem(f"{place}/?", "box", f"names image {repr(named)[:40]}, which is not in the list"))
            continue
        if known:
            file = result.files[number]
            try:
                boxes[file].append(_box(entry, names))
            except ValueError as error:
                result.problems.append(Problem(file, "box", f"not a box of COCO's: {error}"))
    result.items |= {file: replace(result.items[file], boxes=tuple(own), size=sizes[file]) for file, own in boxes.items()}
    return result


def describe(images: Annotated, content: Any) -> None:
    """Add the sentences of a caption file to the images. Raises ValueError for another format."""
    sentences: dict[str, list[str]] = {}
    for entry in _entries(content, "annotations"):
        number, text = entry.get("image_id"), entry.get("caption")
        file = images.files.get(number) if isinstance(number, int) else None
        if file is None:
            # A sample has captions of the whole.
            continue
        if isinstance(text, str) and text.strip():
            sentences.setdefault(file, []).append(text.strip())
        else:
            images.problems.append(Problem(file, "sentence", f"not a caption: {repr(text)[:40]}"))
    images.items |= {file: replace(images.items[file], sentences=tuple(own)) for file, own in sentences.items()}


def _box(entry: dict[str, Any], names: dict[int, str]) -> Box:
    corners = entry.get("bbox")
    if not isinstance(corners, list) or len(corners) != 4:
        raise ValueError(f"{repr(corners)[:40]} are not four numbers")
    x, y, width, height = map(pixels, corners)
    number = within(entry.get("category_id"), 0, _MAX_ID)
    return Box(names.get(number, f"category {number}"), x, y, x + width, y + height, bool(entry.get("iscrowd")))


def _entries(content: Any, key: str) -> list[dict[str, Any]]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"no list of {key}")
    return entries
