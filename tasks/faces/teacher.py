"""Faces that a network marks in photographs where nobody did, for another network to learn from.

Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks": what a network is sure of counts as
known. Where it is not sure, the whole photograph is left out, since our detectors' training has no regions that it overlooks.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeAlias

import numpy as np

from tasks.common import bars
from tasks.common.processors import processors
from tasks.datasets.records import Box, Image
from tasks.faces.centerface import CenterFace, find
from tasks.imaging import images

SCALE = 2.0  # what the teacher sees is enlarged by
CERTAIN = 0.5  # from this score on a box is a face
DOUBTFUL = 0.2  # below this score it is none
CHUNK = 64

Boxes: TypeAlias = tuple[Box, ...]


def mark(pictures: Iterable[tuple[str, Image]], people: Mapping[str, Boxes | None], total: int) -> dict[str, Boxes]:
    """The faces of those photographs that the teacher is sure of, by name; `()` where it is sure that there is none.

    `people`: the boxes of people where the photograph's own set has marked them, else None. A face whose middle is in none of them is
    doubtful: the teacher likes dogs. What cannot be read is left out. Raises Error where the teacher's weights are not installed.
    """
    network = CenterFace(find(), threads=1, scale=SCALE)

    def one(named: tuple[str, Image]) -> Boxes | None:
        name, picture = named
        try:
            pixels = images.decode(picture).pixels if isinstance(picture, bytes) else picture
        except images.Undecodable:
            return None
        [found] = network.detect([np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels], DOUBTFUL)
        return sure(found, people[name])

    marked: dict[str, Boxes] = {}
    with bars.bar("marking faces", total, transient=True) as shown, ThreadPoolExecutor(processors()) as pool:
        for chunk in _chunks(pictures):
            for (name, _), boxes in zip(chunk, pool.map(one, chunk)):
                shown.advance()
                if boxes is not None:
                    marked[name] = boxes
    return marked


def sure(found: np.ndarray, people: Boxes | None) -> Boxes | None:
    """Boxes (K, 5) of scores from `DOUBTFUL` on as faces, or None where one of them is doubtful."""
    faces = tuple(Box("face", *map(float, box[:4])) for box in found)  # type: ignore[arg-type]
    if (found[:, 4] < CERTAIN).any() or (people is not None and not all(_within(face, people) for face in faces)):
        return None
    return faces


def _within(face: Box, people: Boxes) -> bool:
    x, y = (face.x1 + face.x2) / 2, (face.y1 + face.y2) / 2
    return any(one.x1 <= x <= one.x2 and one.y1 <= y <= one.y2 for one in people)


def _chunks(pictures: Iterable[tuple[str, Image]]) -> Iterator[list[tuple[str, Image]]]:
    """As many photographs at a time as are in memory."""
    left = iter(pictures)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
