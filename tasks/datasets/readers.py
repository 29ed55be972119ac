"""The raw data sets, in their publishers' layouts, as `Raw` records.

To add a data set: a function here that returns its `Raw`, and a line in `READERS`.
"""

import gzip
import json
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common.errors import Error
from tasks.datasets import archives, regions
from tasks.datasets.data import Split
from tasks.datasets.records import Box, Image, Item, Problem, Raw
from tasks.params.preparation import Preparation

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def read(folder: Path, block: Preparation) -> Raw:
    """Read the raw folder of `block.dataset`. Raises Error for files that are missing, damaged or of another layout."""
    reader = READERS.get(block.dataset, images_of_folder)
    try:
        return reader(folder, block)
    except FileNotFoundError as error:
        raise Error(f"{error.filename}: no such file; run: dvc repro download@{block.dataset}") from None


def images_of_folder(folder: Path, _: Preparation) -> Raw:
    """Any folder of image files, for image to image: all of them are `train`."""
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES}
    if not paths:
        raise Error(f"{folder}: no images; known endings: {' '.join(sorted(SUFFIXES))}")
    return Raw({name: Item("train") for name in paths}, lambda: ((name, path.read_bytes()) for name, path in paths.items()))


def mnist_5k(folder: Path, _: Preparation) -> Raw:
    """5,000 digits of MNIST's training set, 28x28 grey, all `train`."""
    try:
        images, labels = regions.mnist_5k(folder)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _damaged(folder / "mnist_5k.csv.gz", error) from None
    return _arrays({"train": (images, labels, "row")}, tuple("0123456789"))


def mnist(folder: Path, _: Preparation) -> Raw:
    """60,000 and 10,000 digits, 28x28 grey, in IDX files. http://yann.lecun.com/exdb/mnist"""

    def part(name: str) -> tuple[np.ndarray, np.ndarray, str]:
        return _idx(folder / f"{name}-images-idx3-ubyte.gz", 3), _idx(folder / f"{name}-labels-idx1-ubyte.gz", 1), name

    return _arrays({"train": part("train"), "test": part("t10k")}, tuple("0123456789"))


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of bytes: 0, 0, 8 (bytes), dimensions, the shape as big-endian uint32, the values."""
    content = _gunzip(path)
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start], ">u4").astype(int)
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) != start + shape.prod():
        raise Error(f"{path}: not an IDX file of bytes with {dimensions} dimensions; delete it and download again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def cifar10(folder: Path, _: Preparation) -> Raw:
    """50,000 and 10,000 images, 32x32 colour, 10 classes, in the binary version. https://www.cs.toronto.edu/~kriz/cifar.html"""
    return _cifar(folder / "cifar-10-binary.tar.gz", "batches.meta.txt", 1)


def cifar100(folder: Path, _: Preparation) -> Raw:
    """As CIFAR-10, with the 100 fine labels."""
    return _cifar(folder / "cifar-100-binary.tar.gz", "fine_label_names.txt", 2)


def _cifar(path: Path, names: str, labels: int) -> Raw:
    """Rows of `labels` bytes, the last of which is the fine one, and 3x32x32 bytes of red, green and blue planes."""
    classes: tuple[str, ...] = ()
    parts: dict[str, np.ndarray] = {}
    for member, content in archives.read_members(path, lambda name: name.endswith((".bin", names)), max_bytes=1 << 30):
        stem = Path(member).stem
        if member.endswith(names):
            classes = tuple(content.decode().split())
        elif len(content) % (labels + 3072):
            raise Error(f"{path}: {member} is cut short or of another layout; delete the archive and download again")
        else:
            parts[stem] = np.frombuffer(content, np.uint8).reshape(-1, labels + 3072)
    train = [parts[stem] for stem in sorted(parts) if not stem.startswith("test")]
    test = [parts[stem] for stem in sorted(parts) if stem.startswith("test")]
    if not (classes and train and test):
        raise Error(f"{path}: not the binary version of CIFAR: no {names}, training or test rows")

    def part(rows: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, str]:
        return rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, labels - 1].astype(np.int64), name

    return _arrays({"train": part(np.concatenate(train), "train"), "test": part(np.concatenate(test), "test")}, classes)


def _arrays(splits: dict[Split, tuple[np.ndarray, np.ndarray, str]], classes: tuple[str, ...]) -> Raw:
    """Images that are arrays already; each split has images, labels and the name that its rows are called by."""
    items: dict[str, Item] = {}
    pixels: dict[str, np.ndarray] = {}
    for split, (images, labels, name) in splits.items():
        if len(images) != len(labels) or (len(labels) and labels.max() >= len(classes)):
            raise Error(f"{name}: {len(images)} images and {len(labels)} labels up to {labels.max()} for {len(classes)} classes")
        for i, label in enumerate(labels.tolist()):
            items[f"{name}-{i}"] = Item(split, label)
            pixels[f"{name}-{i}"] = images[i]
    return Raw(items, lambda: iter(pixels.items()), classes)


def fer2013(folder: Path, _: Preparation) -> Raw:
    """48x48 grey faces, 7 emotions: Training, PublicTest (validation) and PrivateTest (test). A damaged row is a problem."""
    path = folder / "fer2013.csv.gz"
    splits: dict[str, Split] = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    items: dict[str, Item] = {}
    pixels: dict[str, np.ndarray] = {}
    problems: list[Problem] = []
    for i, (emotion, text, usage) in enumerate(_rows(path, ["emotion", "pixels", "Usage"])):
        name = f"row-{i}"
        try:
            items[name] = Item(splits[usage], range(len(EMOTIONS)).index(int(emotion)))
            pixels[name] = _numbers(text).reshape(48, 48)
        except (KeyError, ValueError, OverflowError) as error:
            problems.append(Problem(name, "image", f"not a row of emotion 0-6, 48x48 bytes and usage: {error}"))
            items.setdefault(name, Item("train", 0))
    return Raw(items, lambda: iter(pixels.items()), EMOTIONS, problems)


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[str, ...]]:
    """The rows of a CSV file as text, a part at a time. Raises Error for a file that cannot be read."""
    try:
        for part in pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False, chunksize=1000):
            yield from zip(*(part[column] for column in columns), strict=True)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _damaged(path, error) from None


def _numbers(text: str) -> np.ndarray:
    """uint8 values from decimal text, separated by single spaces. Raises ValueError for anything else."""
    characters = np.frombuffer(text.encode(), np.uint8)
    spaces = np.flatnonzero(characters == ord(" "))
    ends = np.append(spaces, len(characters))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = characters - ord("0")
    digits[spaces] = 0
    if lengths.min() < 1 or lengths.max() > 3 or digits.max() > 9:
        raise ValueError("not decimal bytes")
    values = digits[ends - 1].astype(np.int64)
    for place, weight in ((2, 10), (3, 100)):
        values += weight * np.where(lengths >= place, digits[ends - place], 0)
    if values.max() > 255:
        raise ValueError(f"{values.max()} is no byte")
    return values.astype(np.uint8)


def pets(folder: Path, _: Preparation) -> Raw:
    """Oxford-IIIT Pet: 37 breeds, `trainval` and `test`. https://www.robots.ox.ac.uk/~vgg/data/pets"""
    lists = {
        Path(name).stem: content.decode().splitlines()
        for name, content in archives.read_members(
            folder / "annotations.tar.gz", lambda name: name in ("annotations/trainval.txt", "annotations/test.txt")
        )
    }
    if lists.keys() != {"trainval", "test"}:
        raise Error(f"{folder / 'annotations.tar.gz'}: no annotations/trainval.txt and test.txt in it")
    items: dict[str, Item] = {}
    names: dict[int, str] = {}
    for key, lines in lists.items():
        for line in lines:
            if line and not line.startswith("#"):
                stem, breed, *_rest = line.split()
                items[f"images/{stem}.jpg"] = Item("test" if key == "test" else "train", int(breed) - 1)
                names[int(breed) - 1] = stem.rsplit("_", 1)[0]
    classes = tuple(names.get(i, "") for i in range(max(names) + 1))
    return Raw(items, lambda: archives.read_members(folder / "images.tar.gz", items.__contains__), classes)


def voc2007(folder: Path, _: Preparation) -> Raw:
    """PASCAL VOC 2007, 20 classes: its `train` is train, its `val` test, as the detectors that we compare with were validated."""
    return _voc(folder / "VOCtrainval_06-Nov-2007.tar", {"train": "train", "val": "test"}, VOC)


def fddb(folder: Path, _: Preparation) -> Raw:
    """FDDB's faces in VOC's layout, all `train`."""
    return _voc(folder / "FDDB2007.tar", {"train": "train"}, ("face",))


def _voc(path: Path, lists: dict[str, Split], classes: tuple[str, ...]) -> Raw:
    """ImageSets/Main/<list>.txt, Annotations/<name>.xml, JPEGImages/<name>.jpg under any folder of a tar archive."""
    splits: dict[str, Split] = {}
    sources: dict[str, bytes] = {}
    wanted = {f"ImageSets/Main/{name}.txt": split for name, split in lists.items()}
    for name, content in archives.read_members(path, lambda name: name.endswith(".xml") or _tail(name, 3) in wanted):
        if name.endswith(".xml"):
            sources[Path(name).stem] = content
        else:
            splits |= {line.split()[0]: wanted[_tail(name, 3)] for line in content.decode().splitlines() if line.strip()}
    if not splits:
        raise Error(f"{path}: none of {', '.join(wanted)} in it")
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    for stem, split in splits.items():
        items[f"{stem}.jpg"] = Item(split)
        try:
            items[f"{stem}.jpg"] = _voc_item(f"{stem}.jpg", split, sources[stem])
        except KeyError:
            problems.append(Problem(f"{stem}.jpg", "annotation", "no annotation"))
        except (ET.ParseError, ValueError) as error:
            problems.append(Problem(f"{stem}.jpg", "annotation", f"not a VOC annotation of this image: {error}"))

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(path, lambda n: n.endswith(".jpg") and Path(n).name in items):
            yield Path(name).name, content

    return Raw(items, images, classes, problems)


def _voc_item(file: str, split: Split, source: bytes) -> Item:
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


def wider_face(folder: Path, _: Preparation) -> Raw:
    """WIDER FACE's validation photographs, all `test`: nothing is trained on them. Faces marked invalid are `difficult`."""
    path = folder / "wider_face_val_bbx_gt.txt"
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    items: dict[str, Item] = {}
    try:
        for name in lines:
            if not name.strip():
                continue
            # A photograph without faces has one line of zeros.
            rows = [[int(v) for v in next(lines).split()] for _ in range(max(1, int(next(lines))))]
            items[name.strip()] = Item(
                "test",
                boxes=tuple(Box("face", x, y, x + w, y + h, bool(rest[3])) for x, y, w, h, *rest in rows if any((x, y, w, h))),
            )
    except (ValueError, StopIteration, IndexError):
        raise Error(f"{path}: not WIDER FACE's list of boxes; delete it and download again") from None

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(folder / "WIDER_val.zip", lambda n: _tail(n, 2) in items):
            yield _tail(name, 2), content

    return Raw(items, images, ("face",))


def coco_mini(folder: Path, _: Preparation) -> Raw:
    """The images of COCO that were downloaded: train2017's sample is train, val2017 is test. Crowds are `difficult`."""
    origin = json.loads((folder / "origin.json").read_bytes())
    downloaded = {file["file"] for file in origin["files"]}
    annotations: dict[Split, tuple[str, Any]] = {
        "train": ("train2017", _json(folder / "instances_minitrain2017.json", None)),
        "test": (
            "val2017",
            _json(
                folder / "annotations_trainval2017.zip",
                archives.read_member(folder / "annotations_trainval2017.zip", "annotations/instances_val2017.json"),
            ),
        ),
    }
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    classes: dict[int, str] = {}
    for split, (place, content) in annotations.items():
        try:
            classes |= {c["id"]: c["name"] for c in content["categories"]}
            boxes: dict[int, list[Box]] = {image["id"]: [] for image in content["images"]}
            files = {image["id"]: f"{place}/{image['file_name']}" for image in content["images"]}
            for a in content["annotations"]:
                x, y, w, h = a["bbox"]
                name = classes.get(a["category_id"], f"category {a['category_id']}")
                if a["image_id"] in boxes:
                    boxes[a["image_id"]].append(Box(name, x, y, x + w, y + h, bool(a.get("iscrowd"))))
                else:
                    problems.append(Problem(f"{place}/?", "box", f"names image {a['image_id']}, which is not in the list"))
            for image in content["images"]:
                if (file := files[image["id"]]) in downloaded:
                    items[file] = Item(split, boxes=tuple(boxes[image["id"]]), size=(image["width"], image["height"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Error(f"{folder}: the annotations of {place} are not in COCO's layout ({error!r})") from None
    if not items:
        raise Error(f"{folder}: none of the annotated images is here; run: dvc repro download@coco-mini")

    def images() -> Iterator[tuple[str, Image]]:
        for file in items:
            path = folder / file
            # A file that has gone is found missing at the end, and listed.
            if path.is_file():
                yield file, path.read_bytes()

    return Raw(items, images, tuple(name for _, name in sorted(classes.items())), problems)


def _json(path: Path, content: bytes | None) -> Any:
    try:
        return json.loads(path.read_bytes() if content is None else content)
    except ValueError as error:
        raise _damaged(path, error) from None


def _gunzip(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> Error:
    return Error(f"{path}: cannot be read ({error}); delete it and download again")


def _tail(name: str, parts: int) -> str:
    return "/".join(name.split("/")[-parts:])


READERS: dict[str, Callable[[Path, Preparation], Raw]] = {
    "mnist-5k": mnist_5k,
    "patches": regions.patches,
    "photos": regions.photos,
    "scenes": regions.scenes,
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "coco-mini": coco_mini,
    "voc2007": voc2007,
    "pets": pets,
    "fer2013": fer2013,
    "fddb": fddb,
    "wider-face": wider_face,
}
