from pathlib import Path

import pytest

from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.imaging.suffixes import SUFFIXES
from tests.tasks.datasets.layouts import block, jpeg

SETTINGS = block("my-pictures", task="translate", size=16)


def test_a_folder_of_pictures_needs_no_reader(raw: Path) -> None:
    (raw / "deep" / "folder.jpg").mkdir(parents=True)
    (raw / "to-nowhere.png").symlink_to(raw / "nowhere.png")
    names = sorted(f"deep/{i}{suffix.upper()}" for i, suffix in enumerate(sorted(SUFFIXES)))
    for name in names:
        (raw / name).write_bytes(jpeg())
    assert len(names) == 10
    for dataset in ("my-pictures", "people"):
        data = readers.read(raw, SETTINGS.model_copy(update={"dataset": dataset}))
        # A link to nowhere is an item, and is found missing.
        assert sorted(data.items) == sorted([*names, "to-nowhere.png"])
        assert sorted(name for name, _ in data.images()) == names
        assert {item.split for item in data.items.values()} == {"train"}


def test_a_folder_without_pictures_is_a_sentence(raw: Path) -> None:
    with pytest.raises(Error, match=r"no images; known endings: \.bmp"):
        readers.read(raw, SETTINGS)
