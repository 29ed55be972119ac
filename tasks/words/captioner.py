"""Photographs to rows with a sentence each: here in a loop, or by Ray Data with a pool of actors. The rows are the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch

from tasks.common.cluster import connected
from tasks.faces import photographs
from tasks.faces.photographs import Photograph
from tasks.imaging.images import resize
from tasks.kinds.caption import use
from tasks.learning import weights

Row = dict[str, Any]
BATCH = 16  # photographs that go through the network at once; fewer are filled up, since the last digits depend on it
SIDE = 160  # pixels of the long side of a thumbnail
OBJECTS = 256 << 20  # bytes that are between steps, on this machine
SCHEMA = pa.schema(
    [
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("caption", pa.string()),
        ("score", pa.float32()),  # log-probability, in nats, over the length to the power of the penalty
        ("reason", pa.string()),  # why there is no caption
        ("thumbnail", pa.binary()),  # WebP
    ]
)


@dataclass(frozen=True)
class Settings:
    """How sentences are found: `beam` of them are kept at each word, the length `penalty` is part of their scores, and `largest` pixels of a
    photograph's long side are looked at."""

    beam: int = use.BEAM
    penalty: float = use.PENALTY
    largest: int = 1024


class Captioner:
    """A network, loaded once."""

    def __init__(self, path: Path, settings: Settings, device: str = "cpu", threads: int | None = None) -> None:
        """`threads` of the processor; None leaves them as they are. Raises Error for a file that is not weights of ours."""
        if threads:
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
        self.network, self.configuration = weights.load(weights.verified(path), device)
        self.settings = settings

    def rows(self, opened: Sequence[Photograph]) -> list[Row]:
        """A row a photograph, in the order of `SCHEMA`."""
        squares = [use.square(p.pixels, self.configuration) for p in opened if p.pixels is not None]
        said: list[use.Said] = []
        for start in range(0, len(squares), BATCH):
            part = squares[start : start + BATCH]
            filled = np.stack([*part, *[np.zeros_like(part[0])] * (BATCH - len(part))])
            found = use.captions(self.network, self.configuration, filled, "fp32", self.settings.beam, self.settings.penalty)
            said += found[: len(part)]
        sentences = iter(said)
        return [self._row(p, next(sentences) if p.pixels is not None else None) for p in opened]

    def _row(self, photograph: Photograph, said: use.Said | None) -> Row:
        row: Row = {"sha256": photograph.sha256, "caption": "", "reason": photograph.reason}
        if said is None or photograph.pixels is None:
            return row
        scale = SIDE / max(photograph.pixels.shape[:2])
        width, height = (max(1, round(side * scale)) for side in photograph.pixels.shape[1::-1])
        small = resize(photograph.pixels, width, height)
        shown = cv2.imencode(".webp", small[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
        return row | {
            "width": photograph.width, "height": photograph.height, "caption": said.text, "score": said.score, "thumbnail": shown,
        }  # fmt: skip

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Columns path and sha256 to rows: what an actor does."""
        paths = zip(batch["path"].to_pylist(), batch["sha256"].to_pylist())
        opened = [photographs.read(path, sha256, self.settings.largest) for path, sha256 in paths]
        return pa.Table.from_pylist(self.rows(opened), schema=SCHEMA)


def here(items: Sequence[tuple[str, str]], path: Path, settings: Settings, device: str) -> Iterator[list[Row]]:
    """The rows of photographs, given by path and hash, in this process."""
    captioner = Captioner(path, settings, device)
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        yield captioner.rows([photographs.read(file, sha256, settings.largest) for file, sha256 in part])


def spread(
    items: Sequence[tuple[str, str]], path: Path, settings: Settings, device: str, address: str | None, workers: int
) -> Iterator[list[Row]]:
    """As `here`, by Ray with up to `workers` actors, in any order. On a cluster all machines see the same folders."""
    with connected(address, OBJECTS, workers):
        import ray.data
        from ray.data import ActorPoolStrategy

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        share: dict[str, Any] = {"num_gpus": 1} if device.startswith("cuda") else {"num_cpus": 1}
        table = pa.table({"path": [file for file, _ in items], "sha256": [sha256 for _, sha256 in items]})
        data: Any = ray.data.from_arrow([table.slice(start, BATCH) for start in range(0, len(items), BATCH)])
        data = data.map_batches(
            Captioner,
            batch_size=BATCH,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=workers),
            fn_constructor_kwargs={"path": path, "settings": settings, "device": device, "threads": 1},
            **share,
        )
        for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield batch.to_pylist()
