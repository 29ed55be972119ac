"""COCO-mini: a sample of COCO's photographs, with the boxes of things of 80 classes and with captions."""

from collections.abc import Iterator
from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import archives, coco
from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File, Images

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


SAMPLE = "instances_minitrain2017.json"
ARCHIVE = "annotations_trainval2017.zip"
VALIDATION = "annotations/instances_val2017.json"


def read(folder: Path, _: Settings) -> Raw:
    """The images that were downloaded: train2017's sample is train, val2017 is test. Crowds are `difficult`.

    `sentences` are the captions, where the archive has them. Raises Error for annotations of another layout.
    """
    origin = folder / "origin.json"
    try:
        downloaded = {file["file"] for file in coco.load(origin, origin.read_bytes())["files"]}
    except (KeyError, TypeError):
        raise Error(f"{origin}: damaged; delete {folder} and run: dvc repro download@coco-mini") from None
    captions = {place: f"annotations/captions_{place}.json" for place in ("train2017", "val2017")}
    packed = dict(archives.read_members(folder / ARCHIVE, {VALIDATION, *captions.values()}.__contains__))
    if VALIDATION not in packed:
        raise Error(f"{folder / ARCHIVE}: no {VALIDATION} in this archive; is it another edition?")
    train = coco.load(folder / SAMPLE, (folder / SAMPLE).read_bytes())
    test = coco.load(folder / ARCHIVE, packed[VALIDATION])
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    try:
        names = coco.classes(train)
        if coco.classes(test) != names:
            raise ValueError("the categories of train2017 and val2017 differ")
        parts = {
            "train2017": coco.annotated(train, "train2017", "train", downloaded, names),
            "val2017": coco.annotated(test, "val2017", "test", downloaded, names),
        }
        for place, part in parts.items():
            if captions[place] in packed:
                coco.describe(part, coco.load(folder / ARCHIVE, packed[captions[place]]))
            items |= part.items
            problems += part.problems
    except ValueError as error:
        raise Error(f"{folder}: the annotations are not in COCO's layout ({error}); delete it and download again") from None
    if not items:
        raise Error(f"{folder}: none of the annotated images is here; run: dvc repro download@coco-mini")

    def images() -> Iterator[tuple[str, Image]]:
        for file in items:
            path = folder / file
            # A file that has gone is found missing at the end, and listed.
            if path.is_file():
                yield file, path.read_bytes()

    return Raw(items, images, tuple(name for _, name in sorted(names.items())), problems)
