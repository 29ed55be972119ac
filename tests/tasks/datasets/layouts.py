"""Small files in the publishers' layouts."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from tasks.params.experiment import AnyPrepare
from tasks.params.preparation import Preparation


def block(dataset: str, **values: object) -> Preparation:
    return TypeAdapter(AnyPrepare).validate_python({"dataset": dataset, **values})


def jpeg(width: int = 40, height: int = 30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(out, "JPEG")
    return out.getvalue()


def tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def photographs(folder: Path) -> None:
    """Every pixel of every photograph has a colour of its own."""
    for i in range(3):
        value = np.random.default_rng(i).permutation(256 * 256).reshape(256, 256)
        pixels = np.stack([value % 256, value // 256, np.full_like(value, i)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i}.png")


def digits(folder: Path, count: int = 100) -> np.ndarray:
    """Digits that look like bars, each with an ink of its own."""
    table = np.zeros((count, 785), np.uint8)
    for i, row in enumerate(table):
        row[:784].reshape(28, 28)[4:24, 10:18] = 255 - i
    table[:, -1] = np.arange(count) % 10
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress(text.encode()))
    return table


def annotation(name: str, *objects: tuple[object, ...], width: int = 40, height: int = 30) -> bytes:
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation><filename>{name}</filename>{size}{boxes}</annotation>".encode()
