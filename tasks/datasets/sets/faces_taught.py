"""Faces that people have marked, and faces that a teacher has, in photographs of everyday things: to learn a face detector from.

The former are `fddb-wider-face`, in its splits. To its `train` come photographs of VOC 2007, Flickr8k and COCO-mini, of their own `train` alone. Nobody
has marked their faces, and CenterFace does (`tasks.faces.teacher`), which learned from all of WIDER FACE's training photographs: what
learns from this set is no longer independent of it. About half of them have no face. Xie et al. 2020, "Self-training with Noisy
Student improves ImageNet classification": the student sees them augmented, and the teacher as they are.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sets import coco_mini, fddb_wider_face, flickr8k, voc2007
from tasks.datasets.sources import Dataset

if TYPE_CHECKING:
    import numpy as np

_OTHERS = {"voc2007": voc2007, "flickr8k": flickr8k, "coco-mini": coco_mini}
_FILES = tuple(file for module in _OTHERS.values() for file in module.SOURCE.files if not file.optional)
SOURCE = Dataset(
    f"{fddb_wider_face.SOURCE.licence}; VOC: {voc2007.SOURCE.licence}; Flickr8k: {flickr8k.SOURCE.licence}; "
    f"COCO: {coco_mini.SOURCE.licence}; CenterFace, which marked faces in the latter three: MIT",
    f"{fddb_wider_face.SOURCE.home}, {', '.join(module.SOURCE.home for module in _OTHERS.values())}",
    files=(*fddb_wider_face.SOURCE.files, *_FILES),
    images=coco_mini.SOURCE.images[:1],
    repacked=(*fddb_wider_face.SOURCE.repacked, *_FILES),
    within=(*fddb_wider_face.SOURCE.within, *_OTHERS),
)
# Photographs that the teacher is shown at most, drawn by the seed; and those with faces that are taken of them at most, with as many without.
SHOWN, TAKEN = 4000, 900
PERSON = "person"


def read(folder: Path, block: Settings) -> Raw:
    """`fddb-wider-face`, and in `train` what the teacher is sure of, under `<data set>/<file name>`.

    None of it shows what a photograph of test shows. Raises Error where the teacher's weights are not installed.
    """
    import numpy as np

    from tasks.datasets.lookalikes import lookalikes
    from tasks.faces import centerface, teacher

    centerface.find()
    known = fddb_wider_face.read(folder, block)
    random = np.random.default_rng(block.seed)
    sets = {name: module.read(folder, block) for name, module in _OTHERS.items()}
    usable = {f"{name}/{file}": item for name, raw in sets.items() for file, item in _usable(raw).items()}
    usable = {name: usable[name] for name in sorted(_drawn(random, list(usable), SHOWN))}

    def others() -> Iterator[tuple[str, Image]]:
        for name, raw in sets.items():
            yield from ((f"{name}/{file}", image) for file, image in raw.images() if f"{name}/{file}" in usable)

    people = {name: item.boxes and tuple(box for box in item.boxes if box.label == PERSON) for name, item in usable.items()}
    marked = teacher.mark(others(), people, len(usable))
    faces = _drawn(random, [name for name in usable if marked.get(name)], TAKEN)
    taken = {*faces, *_drawn(random, [name for name in usable if marked.get(name) == ()], len(faces))}
    test = ((name, image) for name, image in known.images() if known.items[name].split == "test")
    twins = lookalikes(test, ((name, image) for name, image in others() if name in taken))
    twice = [Problem(name, "image", f"it shows what {twin} of test shows") for name, twin in twins.items()]
    added = {name: replace(usable[name], boxes=marked[name]) for name in usable if name in taken - twins.keys()}

    def images() -> Iterator[tuple[str, Image]]:
        yield from known.images()
        yield from ((name, image) for name, image in others() if name in added)

    return Raw({**known.items, **added}, images, known.classes, known.problems + twice, drawn=True)


def _usable(raw: Raw) -> dict[str, Item]:
    lost = {problem.file for problem in raw.problems if problem.kind in ("image", "annotation")}
    return {name: item for name, item in raw.items.items() if item.split == "train" and name not in lost}


def _drawn(random: "np.random.Generator", names: list[str], most: int) -> list[str]:
    return [names[place] for place in random.permutation(len(names))[:most]]
