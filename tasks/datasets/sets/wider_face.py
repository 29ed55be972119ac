"""WIDER FACE: photographs of 61 kinds of events, with the boxes of faces."""

from collections.abc import Iterator
from pathlib import Path

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Box, Image, Item, Raw, Settings
from tasks.datasets.sources import TFDS, Dataset, File

_WIDER = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/833d07e7bf3860f294242312fe95eed0561eeb17/data/{}"

SOURCE = Dataset(
    "CC BY-NC-ND 4.0",
    "http://shuoyang1213.me/WIDERFACE/",
    files=(
        File(
            "WIDER_val.zip",
            (_WIDER.format("WIDER_val.zip"), "https://dataset.bj.bcebos.com/wider_face/WIDER_val.zip"),
            "f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a",
            TFDS.format("wider_face"),
            362752168,
        ),
        File(
            "wider_face_val_bbx_gt.txt",
            (
                _WIDER.format("wider_face_split.zip"),
                "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
            ),
            "c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c",
            TFDS.format("wider_face"),
            3591642,
            member="wider_face_split/wider_face_val_bbx_gt.txt",
        ),
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """The validation photographs, all `test`: nothing is trained on them. Faces marked invalid are `difficult`."""
    path = folder / "wider_face_val_bbx_gt.txt"
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    items: dict[str, Item] = {}
    try:
        for name in lines:
            if not name.strip():
                continue
            # A photograph without faces has one line of zeros.
            rows = [[int(v) for v in next(lines).split()] for _ in range(max(1, int(next(lines))))]
            items[name.strip()] = Item(
                "test",
                boxes=tuple(Box("face", x, y, x + w, y + h, bool(rest[3])) for x, y, w, h, *rest in rows if any((x, y, w, h))),
            )
    except (ValueError, StopIteration, IndexError):
        raise Error(f"{path}: not WIDER FACE's list of boxes; delete it and download again") from None

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(folder / "WIDER_val.zip", lambda n: archives.tail(n, 2) in items):
            yield archives.tail(name, 2), content

    return Raw(items, images, ("face",))
