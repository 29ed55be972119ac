"""COCO-mini: a sample of COCO's photographs, with the boxes of things of 80 classes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.damage import damaged
from tasks.datasets.records import Box, Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File, Images

if TYPE_CHECKING:
    from tasks.datasets.data import Split

# Amazon's name of COCO's bucket is preferred: images.cocodataset.org has no certificate of its own.
_COCO = ("https://s3.amazonaws.com/images.cocodataset.org/{}", "http://images.cocodataset.org/{}")

# The sample of github.com/giddyyupp/coco-minitrain (Samet et al. 2020), whose README links this file on Google Drive
# and states no hash. The sample of the same name on Hugging Face (bryanbocao/coco_minitrain) holds other images.
SOURCE = Dataset(
    "annotations CC BY 4.0; images under their Flickr licences",
    "https://github.com/giddyyupp/coco-minitrain, https://cocodataset.org",
    files=(
        File(
            "instances_minitrain2017.json",
            (
                "https://drive.usercontent.google.com/download?id=1lezhgY4M_Ag13w0dEzQ7x_zQ_w0ohjin&export=download&confirm=t",
                "https://drive.google.com/uc?export=download&confirm=t&id=1lezhgY4M_Ag13w0dEzQ7x_zQ_w0ohjin",
            ),
        ),
        File(
            "annotations_trainval2017.zip",
            tuple(url.format("annotations/annotations_trainval2017.zip") for url in _COCO),
            "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            TFDS.format("coco2017"),
            252907541,
        ),
    ),
    images=(
        Images(
            "train2017",
            "instances_minitrain2017.json",
            None,
            tuple(url.format("train2017/") for url in _COCO),
            "train_images",
        ),
        Images(
            "val2017",
            "annotations_trainval2017.zip",
            "annotations/instances_val2017.json",
            tuple(url.format("val2017/") for url in _COCO),
            "val_images",
        ),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The images that were downloaded: train2017's sample is train, val2017 is test. Crowds are `difficult`."""
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
        raise damaged(path, error) from None
