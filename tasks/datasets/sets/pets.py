"""Oxford-IIIT Pet: photographs of 37 breeds of cats and dogs."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Item, Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File
from tasks.datasets.values import whole

BREEDS = 37


def _file(name: str, size: int, sha256: str) -> File:
    hosts = ("https://www.robots.ox.ac.uk/~vgg/data/pets/data", "https://thor.robots.ox.ac.uk/~vgg/data/pets")
    return File(name, tuple(f"{host}/{name}" for host in hosts), sha256, TFDS.format("oxford_iiit_pet"), size)


SOURCE = Dataset(
    "CC BY-SA 4.0",
    "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    files=(
        _file("images.tar.gz", 791918971, "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d"),
        _file("annotations.tar.gz", 19173078, "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91"),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's `trainval`, as train, and `test`. Raises Error where a list is missing or damaged, or shares an image."""
    path = folder / "annotations.tar.gz"
    lists = dict(archives.read_members(path, ("annotations/trainval.txt", "annotations/test.txt").__contains__))
    if len(lists) != 2:
        raise Error(f"{path}: no annotations/trainval.txt and test.txt in it")
    items: dict[str, Item] = {}
    names: dict[int, str] = {}
    for key, content in lists.items():
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                stem, breed, *_rest = line.split()
                label = whole(breed, 1, BREEDS) - 1
                name = names.setdefault(label, stem.rsplit("_", 1)[0])
                if f"images/{stem}.jpg" in items or name != stem.rsplit("_", 1)[0]:
                    raise ValueError(f"{stem} is listed twice or is of another breed than {name}")
            except ValueError as error:
                raise Error(f"{path}: {key}, line {number}: {error}; delete the archive and download again") from None
            items[f"images/{stem}.jpg"] = Item("test" if key.endswith("/test.txt") else "train", label)
    classes = tuple(names.get(i, "") for i in range(max(names, default=-1) + 1))
    return Raw(items, lambda: archives.read_members(folder / "images.tar.gz", items.__contains__), classes)
