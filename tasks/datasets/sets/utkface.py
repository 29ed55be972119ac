"""UTKFace: 23,708 aligned faces, with age and gender in their names."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import Dataset, File

if TYPE_CHECKING:
    import numpy as np

ARCHIVE = "UTKFace.tar.gz"
# <age>_<gender>_<race>_<time>: years up to 116, 0 (male) or 1 (female), 0 to 4.
NAME = re.compile(r"([0-9]{1,3})_([01])_[0-4]_[0-9]+\.jpg\.chip\.jpg")
OLDEST = 116
# From this age on a face counts as an older one: the middle of the published ages.
OLDER = 30
# Its pictures are faces, so that samples of them are shown to a detector.
FACES = True

SOURCE = Dataset(
    "for non-commercial research only; the photographs belong to their owners",
    "https://susanqq.github.io/UTKFace/",
    files=(File(ARCHIVE, ()),),
    by_hand=f"The publisher's page links {ARCHIVE} (Aligned&Cropped Faces) on Google Drive, for those who agree to its terms",
)


def read(folder: Path, _: Settings) -> Raw:
    """All faces are `train`; `attributes` are `age`, in years, and `gender`. A face whose name lacks one is a problem.

    Raises Error where the archive has no face.
    """
    path = folder / ARCHIVE
    items: dict[str, Item] = {}
    problems: list[Problem] = []
    for member in archives.members(path):
        name = archives.tail(member.name, 1)
        # macOS's archiver adds a file ._<name> to each.
        if not name.endswith(".jpg") or name.startswith("._"):
            continue
        match = NAME.fullmatch(name)
        if name in items:
            problems.append(Problem(name, "annotation", "the archive holds two of this name"))
        elif match and int(match[1]) <= OLDEST:
            items[name] = Item("train", attributes={"age": int(match[1]), "gender": int(match[2])})
        else:
            items[name] = Item("train")
            problems.append(Problem(name, "annotation", "its name is not <age>_<gender>_<race>_<time>.jpg.chip.jpg"))
    if not items:
        raise Error(f"{path}: no faces (*.jpg) in it; is it another edition?")

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(path, lambda n: archives.tail(n, 1) in items):
            yield archives.tail(name, 1), content

    return Raw(items, images, (), problems)


def attributes(names: Sequence[str]) -> dict[str, "np.ndarray"]:
    """What the files' names say of each face, (N,): `older` (30 years and more) and `female`, 0 or 1, -1 where a name lacks it."""
    import numpy as np  # which those who only want the source need not have

    matches = [match if (match := NAME.fullmatch(name)) and int(match[1]) <= OLDEST else None for name in names]
    return {
        "older": np.array([int(int(m[1]) >= OLDER) if m else -1 for m in matches]),
        "female": np.array([int(m[2]) if m else -1 for m in matches]),
    }
