"""CIFAR-10 and CIFAR-100 in their binary versions."""

from pathlib import Path

import numpy as np

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.labelled import labelled
from tasks.datasets.records import Raw

PIXELS = 3 * 32 * 32


def read(path: Path, names: str, labels: int) -> Raw:
    """The archive's images, 32x32 colour; the class names stand in the file `names`.

    A row has `labels` bytes, the last of which is the label that is taken, and the red, green and blue planes. Raises Error for
    another layout.
    """
    classes: tuple[str, ...] = ()
    parts: dict[str, np.ndarray] = {}
    for member, content in archives.read_members(path, lambda name: name.endswith((".bin", names)), max_bytes=1 << 30):
        stem = Path(member).stem
        if member.endswith(names):
            classes = _names(path, member, content)
        elif stem in parts:
            raise Error(
                f"{path}: two files are called {stem}.bin, so that one would be lost; delete the archive and download again"
            )
        elif len(content) % (labels + PIXELS):
            raise Error(f"{path}: {member} is cut short or of another layout; delete the archive and download again")
        else:
            parts[stem] = np.frombuffer(content, np.uint8).reshape(-1, labels + PIXELS)
    train = [parts[stem] for stem in sorted(parts) if not stem.startswith("test")]
    test = [parts[stem] for stem in sorted(parts) if stem.startswith("test")]
    if not (classes and train and test):
        raise Error(f"{path}: not the binary version of CIFAR: no {names}, training or test rows")

    def part(rows: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, str]:
        return rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, labels - 1].astype(np.int64), name

    return labelled({"train": part(np.concatenate(train), "train"), "test": part(np.concatenate(test), "test")}, classes)


def _names(path: Path, member: str, content: bytes) -> tuple[str, ...]:
    try:
        return tuple(content.decode().split())
    except UnicodeDecodeError:
        raise Error(f"{path}: {member} is no text; delete the archive and download again") from None
