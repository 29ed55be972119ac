"""FDDB's photographs and WIDER FACE's training photographs: two sets of faces to learn from as one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tasks.datasets.records import Image, Problem, Raw, Settings
from tasks.datasets.sets import fddb, wider_face_train
from tasks.datasets.sources import Dataset

SOURCE = Dataset(
    f"FDDB: {fddb.SOURCE.licence}; WIDER FACE: {wider_face_train.SOURCE.licence}",
    f"{fddb.SOURCE.home}, {wider_face_train.SOURCE.home}",
    files=(*fddb.SOURCE.files, *wider_face_train.SOURCE.files),
    repacked=(*fddb.SOURCE.repacked, *wider_face_train.SOURCE.files),
    within=("fddb", "wider-face"),
)


def read(folder: Path, block: Settings) -> Raw:
    """FDDB's splits are those that the same seed and shares give FDDB alone. Of WIDER FACE a share is validation, and none is test.

    Photographs of either that show what one of FDDB's test shows are problems, and not learned from.
    """
    from tasks import preprocess
    from tasks.datasets.lookalikes import lookalikes

    own, others = fddb.read(folder, block), wider_face_train.read(folder, block)
    items = {name: replace(own.items[name], split=split) for name, split in preprocess.assign(own, block).items()}  # type: ignore[arg-type]
    for name, split in preprocess.assign(others, block).items():  # type: ignore[arg-type]
        items[name] = replace(others.items[name], split="train" if split == "test" else split)

    def images() -> Iterator[tuple[str, Image]]:
        yield from own.images()
        yield from others.images()

    def of(test: bool) -> Iterator[tuple[str, Image]]:
        return ((name, image) for name, image in images() if (items[name].split == "test") == test)

    twins = lookalikes(of(test=True), of(test=False))
    twice = [Problem(name, "image", f"it shows what {twin} of test shows") for name, twin in twins.items()]
    left = {name: item for name, item in items.items() if name not in twins}
    return Raw(
        left,
        lambda: ((name, image) for name, image in images() if name in left),
        ("face",),
        own.problems + others.problems + twice,
        drawn=True,
    )
