"""Photographs through an encoder: here in a loop, or by Ray Data with a pool of actors. The vectors are the same.

As faces are (`tasks.faces.parallel`): photographs are opened in parallel, and go in batches to actors, each of which loads its network once and
uses one thread.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.common.cluster import connected
from tasks.faces import photographs
from tasks.finding.encoders import Encoder, square
from tasks.finding.index import PART, Row, as_record

BATCH = 16  # photographs that an actor takes at once
OPENED = 32  # photographs that a task opens
OBJECTS = 256 << 20  # bytes that are between steps, on this machine
# A photograph's long side is opened at up to so many times what the encoder sees: the short side of a panorama is left as large.
LARGER = 4
_SQUARES = pa.schema([("sha256", pa.string()), ("pixels", pa.binary()), ("reason", pa.string())])

Item = tuple[str, str]  # a path and the hash of its content


def opened(batch: pa.Table, size: int) -> pa.Table:
    """Columns path and sha256 to what the encoder sees of each, or the reason why it sees nothing."""
    rows: list[dict[str, Any]] = []
    for path, sha256 in zip(batch["path"].to_pylist(), batch["sha256"].to_pylist()):
        one = photographs.read(path, sha256, LARGER * size)
        pixels = None if one.pixels is None else square(one.pixels, size).tobytes()
        rows.append({"sha256": sha256, "pixels": pixels, "reason": one.reason})
    return pa.Table.from_pylist(rows, schema=_SQUARES)


class Worker:
    """An actor: what was opened to rows of the index. `make`: gives the encoder."""

    def __init__(self, make: Callable[[], Encoder]) -> None:
        torch.set_num_threads(1)
        self.encoder = make()

    def of(self, batch: pa.Table) -> list[Row]:
        """A row a photograph."""
        size, rows = self.encoder.size, batch.to_pylist()
        squares = [
            np.frombuffer(row["pixels"], np.uint8).reshape(size, size, 3).copy() for row in rows if row["pixels"] is not None
        ]
        vectors = iter(self.encoder.images(squares) if squares else ())
        return [Row(row["sha256"], None if row["pixels"] is None else next(vectors), row["reason"]) for row in rows]

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([as_record(row) for row in self.of(batch)], schema=PART)


def here(items: list[Item], make: Callable[[], Encoder]) -> Iterator[list[Row]]:
    """The rows of photographs, some at a time, in this process."""
    threads = torch.get_num_threads()
    worker = Worker(make)
    try:
        for start in range(0, len(items), BATCH):
            yield worker.of(opened(_table(items[start : start + BATCH]), worker.encoder.size))
    finally:
        torch.set_num_threads(threads)


def spread(
    items: list[Item], make: Callable[[], Encoder], size: int, address: str | None, workers: int, gpu: bool
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
        share: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0.5} if gpu else {"num_cpus": 0.5}
        table = _table(items)
        data: Any = ray.data.from_arrow([table.slice(start, OPENED) for start in range(0, len(items), OPENED)])
        data = data.map_batches(opened, batch_size=BATCH, batch_format="pyarrow", fn_kwargs={"size": size}, num_cpus=0.5).map_batches(
            Worker, batch_size=BATCH, batch_format="pyarrow", compute=ActorPoolStrategy(min_size=1, max_size=workers),
            fn_constructor_kwargs={"make": make}, **share,
        )  # fmt: skip
        for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield [Row.of(record) for record in batch.to_pylist()]


def _table(items: list[Item]) -> pa.Table:
    return pa.table({"path": [path for path, _ in items], "sha256": [sha256 for _, sha256 in items]})
