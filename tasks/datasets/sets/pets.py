"""Oxford-IIIT Pet: photographs of 37 breeds of cats and dogs."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Item, Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File


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
    """The publisher's `trainval`, as train, and `test`."""
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
