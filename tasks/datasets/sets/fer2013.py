"""FER-2013: 48x48 grey faces with one of seven emotions."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.emotions import EMOTIONS
from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import Dataset, File
from tasks.datasets.values import whole

if TYPE_CHECKING:
    from tasks.datasets.data import Split

SOURCE = Dataset(
    "the rules of the Kaggle competition; for research",
    "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
    files=(File("fer2013.csv.gz", ()),),
    by_hand="fer2013.csv comes with the competition's data, for those who sign in there; pack it: gzip fer2013.csv",
)


def read(folder: Path, _: Settings) -> Raw:
    """Training, PublicTest (validation) and PrivateTest (test). A damaged row is a problem."""
    from tasks.datasets.csv_rows import decimal_bytes, rows

    path = folder / "fer2013.csv.gz"
    splits: dict[str, Split] = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    items: dict[str, Item] = {}
    pixels: dict[str, Image] = {}
    problems: list[Problem] = []
    for i, (emotion, text, usage) in enumerate(rows(path, ["emotion", "pixels", "Usage"])):
        name = f"row-{i}"
        try:
            items[name] = Item(splits[usage], whole(emotion, 0, len(EMOTIONS) - 1))
            pixels[name] = decimal_bytes(text).reshape(48, 48)
        except (KeyError, ValueError) as error:
            problems.append(Problem(name, "image", f"not a row of emotion 0-6, 48x48 bytes and usage: {error}"))
            items.setdefault(name, Item("train", 0))
    return Raw(items, lambda: iter(pixels.items()), EMOTIONS, problems)
