"""Photographs through both networks: here in a loop, or by Ray Data with a pool of actors. The rows are the same.

Photographs are opened in parallel, and go in batches to actors, each of which loads its networks once and uses one thread, so that
a row does not depend on how many actors there are.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.common.cluster import connected
from tasks.faces import annotator, photographs
from tasks.faces.annotations import PART, Row
from tasks.faces.annotator import Annotator, Files
from tasks.faces.photographs import Photograph
from tasks.params.face_settings import Annotate

BATCH = 16  # photographs that an actor takes at once: their faces fill the emotion network's batches
OPENED = 16  # photographs that a task opens,
AT_ONCE = 2  # and of which so many are in its memory before they go on
OBJECTS = 512 << 20  # bytes that are between steps, on this machine
_OPENED = pa.schema(
    [
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("pixels", pa.large_binary()),
        ("rows", pa.int32()),  # of pixels
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reason", pa.string()),
    ]
)


class Worker:
    """An actor: photographs that were opened to rows. Annotated pictures go straight to the output's folder."""

    def __init__(self, files: Files, settings: Annotate, out: Path, device: str) -> None:
        self.annotate = Annotator(files, settings, device, threads=1)
        self.settings, self.out = settings, out

    def of(self, items: list[tuple[str, Photograph]]) -> list[Row]:
        """The rows of photographs, given with a path of each."""
        rows = self.annotate([photograph for _, photograph in items])
        if self.settings.pictures:
            for (path, photograph), own in zip(items, rows):
                annotator.keep_picture(self.out, photograph, own, path)
        return [row for own in rows for row in own]

    def __call__(self, batch: pa.Table) -> pa.Table:
        items = []
        for row in batch.to_pylist():
            pixels = row.pop("pixels")
            high = row.pop("rows")
            image = None if pixels is None else np.frombuffer(pixels, np.uint8).reshape(high, -1, 3)
            items.append((row.pop("path"), Photograph(pixels=image, **row)))
        return pa.Table.from_pylist(self.of(items), schema=PART)


def opened(batch: pa.Table, largest: int) -> pa.Table:
    """Columns path and sha256 to photographs that are open."""
    rows: list[dict[str, Any]] = []
    for path, sha256 in zip(batch["path"].to_pylist(), batch["sha256"].to_pylist()):
        one = photographs.read(path, sha256, largest)
        pixels = None if one.pixels is None else one.pixels.tobytes()
        rows.append(
            {"path": path, "sha256": sha256, "pixels": pixels, "rows": 0 if one.pixels is None else len(one.pixels)}
            | {"width": one.width, "height": one.height, "reason": one.reason}
        )
    return pa.Table.from_pylist(rows, schema=_OPENED)


def here(
    items: list[tuple[str, str]], files: Files, settings: Annotate, out: Path, device: str, size: int = BATCH
) -> Iterator[list[Row]]:
    """The rows of photographs, given by path and hash, at most `size` at a time, in this process."""
    threads = torch.get_num_threads()
    worker = Worker(files, settings, out, device)
    size = min(size, BATCH)
    try:
        for start in range(0, len(items), size):
            part = items[start : start + size]
            yield worker.of([(path, photographs.read(path, sha256, settings.largest)) for path, sha256 in part])
    finally:
        torch.set_num_threads(threads)


def spread(
    items: list[tuple[str, str]],
    files: Files,
    settings: Annotate,
    out: Path,
    device: str,
    address: str | None,
    workers: int,
) -> Iterator[list[Row]]:
    """As `here`, by Ray with up to `workers` actors, in any order. On a cluster all machines see the same folders."""
    with connected(address, OBJECTS, workers):
        import ray.data
        from ray.data import ActorPoolStrategy

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        for name in ("ray.data", "ray.data._internal"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # Half of an actor's share is its own, the rest is for opening photographs.
        share: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0.5} if device.startswith("cuda") else {"num_cpus": 0.5}
        table = pa.table({"path": [path for path, _ in items], "sha256": [sha256 for _, sha256 in items]})
        data: Any = ray.data.from_arrow([table.slice(start, OPENED) for start in range(0, len(items), OPENED)])
        data = data.map_batches(
            opened, batch_size=AT_ONCE, batch_format="pyarrow", fn_kwargs={"largest": settings.largest}, num_cpus=0.5
        ).map_batches(
            Worker,
            batch_size=BATCH,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=workers),
            fn_constructor_kwargs={"files": files, "settings": settings, "out": out, "device": device},
            **share,
        )
        for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield batch.to_pylist()
