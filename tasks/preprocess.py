"""Prepare a data set: fixed-size uint8 arrays with a fixed split, in data/processed/<name>/ (see tasks.datasets.data).

python -m tasks.preprocess NAME        NAME is a key of `preprocess` in params.yaml
"""

import hashlib
import json
import logging
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pandas as pd
import PIL.Image
import typer

from tasks import config, kinds
from tasks.common import bars, cli
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.common.processors import processors
from tasks.datasets import readers
from tasks.datasets.arrays import Part, SplitWriter, moments
from tasks.datasets.data import SPLITS, Info, Split
from tasks.datasets.records import Problem, Raw
from tasks.datasets.squares import Chunk, Job
from tasks.imaging import images
from tasks.params.preparation import Preparation
from tasks.profile import Profile

CHUNK = 64
log = logging.getLogger(__name__)


def prepare(profile: Profile, name: str) -> Info:
    """Prepare the block `name` of `preprocess`, and return what dataset.json says.

    Raises Error for an unknown name, raw data that are missing or damaged, a block that does not fit the data set, and when more
    than `max_bad_share` of the images cannot be used. The folder appears whole or not at all.
    """
    blocks = profile.params.preprocess
    if name not in blocks:
        raise Error(f"preprocess: unknown data {name!r}; allowed: {', '.join(blocks)}")
    return write(profile.raw(blocks[name].dataset), blocks[name], profile.processed(name))


def write(folder: Path, block: Preparation, to: Path) -> Info:
    """Prepare the raw `folder` into the folder `to`, whose name becomes the data's. Raises Error as `prepare` does."""
    origin = _origin(folder)
    raw = readers.read(folder, block)
    splits = assign(raw, block)
    kind = kinds.part(block.task, "prepare")
    with atomic_folder(to) as building, ExitStack() as files:
        # What the kind draws from all of the data before it converts any, such as the vocabulary of train.
        known = kind.begin(raw, splits, block, building) if hasattr(kind, "begin") else raw.classes
        writers = {split: SplitWriter(building / split, block.dataset, kind.layout(block), files) for split in SPLITS}
        for split, done in _work(raw, splits, block, known):
            raw.problems.extend(done.problems)
            writers[split].add(done)
        shapes = [writer.shape for writer in writers.values() if writer.shape]
        bad = sorted({p.file for p in raw.problems if p.kind in kind.LOSES})
        if not shapes or len(bad) > block.max_bad_share * len(splits):
            named = "; ".join(f"{p.file}: {p.reason}" for p in raw.problems if p.kind in kind.LOSES)[:500]
            raise Error(
                f"preprocess.{to.name}: {len(bad)} of {len(splits)} images of {block.dataset} cannot be used, more than "
                f"max_bad_share {block.max_bad_share} allows; the first: {named}. Download {block.dataset} again, or allow more"
            )
        size, channels = block.size or shapes[0][0], shapes[0][-1]
        digest = hashlib.sha256()
        for split in SPLITS:
            digest.update(writers[split].close((size, size, channels)))
        listed = sorted(set(raw.problems))
        pd.DataFrame(listed, columns=["file", "kind", "reason"]).to_csv(
            building / "skipped.csv", index=False, lineterminator="\n"
        )
        # A set that is for testing only is measured on what it has.
        measured = [writers["train"]] if writers["train"].count else list(writers.values())
        mean, std = moments(np.sum([w.levels for w in measured], axis=0)[:channels])
        info = Info(
            name=to.name,
            dataset=block.dataset,
            task=block.task,
            origin=origin["origin"],
            licence=origin["licence"],
            size=size,
            channels=channels,
            classes=kind.classes(raw),
            counts={split: writers[split].count for split in SPLITS},
            mean=mean,
            std=std,
            skipped=len(bad),
            hash=digest.hexdigest(),
            settings=block.model_dump(mode="json"),
            extra=kind.extra(known) if hasattr(kind, "extra") else {},
        )
        write_json(building / "dataset.json", info.dump())
    return info


def assign(raw: Raw, block: Preparation) -> dict[str, Split]:
    """Each image's split: the publisher's, with validation and, where there is none, test held out of train.

    The same share of each class is held out.

    Raises Error when the block asks for a split that is published, or does not ask for one that is not.
    """
    splits = {name: item.split for name, item in raw.items.items()}
    kinds.part(block.task, "prepare").check(raw, block)
    if raw.drawn or "train" not in splits.values():
        return splits
    published = set(splits.values())
    train = [name for name, split in splits.items() if split == "train"]
    random = np.random.default_rng(block.seed)
    wanted: tuple[tuple[Literal["val", "test"], str], ...] = (("test", "test"), ("val", "validation"))
    for split, key in wanted:
        count = block.held_out(split, len(train), len(raw.items))
        if split in published:
            if key in block.model_fields_set and count is not None:
                raise Error(f"preprocess: {block.dataset} is published with a {split} split; leave out the key `{key}`")
            continue
        if count is None:
            raise Error(
                f"preprocess: {block.dataset} is published without a {split} split; say with the key `{key}` how much to hold out"
            )
        if count >= len(train):
            raise Error(f"preprocess: `{key}` holds out {count} images of {block.dataset}, and there are only {len(train)}")
        held = _hold_out([raw.items[name].label for name in train], count, random)
        splits |= {train[i]: split for i in held}
        train = [name for name in train if splits[name] == "train"]
    return splits


def _hold_out(labels: list[int | None], count: int, random: np.random.Generator) -> list[int]:
    """`count` positions, drawn at random with the same share of each label."""
    # Each label's members get evenly spaced ranks between 0 and 1 in a random order; the lowest ranks of all are taken.
    order = random.permutation(len(labels))
    classes = np.array([-1 if label is None else label for label in labels])[order]
    ranks = np.empty(len(labels))
    for label in np.unique(classes):
        mine = classes == label
        ranks[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    return sorted(order[np.argsort(ranks, kind="stable")[:count]].tolist())


def _work(raw: Raw, splits: dict[str, Split], block: Preparation, known: Any) -> Iterator[tuple[Split, Part]]:
    """Prepare chunks in all cores, and yield them in a fixed order; images that never come are listed at the end."""
    kind = kinds.part(block.task, "prepare")
    number = {name: i for i, name in enumerate(splits)}
    left = dict.fromkeys(number)
    for problem in raw.problems:
        if problem.kind in kind.LOSES:
            left.pop(problem.file, None)
    chunks: dict[Split, list[Job]] = {split: [] for split in SPLITS}
    workers = processors()
    waiting: deque[tuple[Split, int, Future[Part]]] = deque()
    bar = bars.bar(f"preparing {block.dataset}", len(left), transient=True)
    with _one_thread_each(), bar as shown, ThreadPoolExecutor(workers) as pool:

        def submit(split: Split) -> None:
            jobs, chunks[split] = chunks[split], []
            waiting.append((split, len(jobs), pool.submit(_chunk, jobs, block, known)))

        def finish(keep: int) -> Iterator[tuple[Split, Part]]:
            while len(waiting) > keep:
                split, count, future = waiting.popleft()
                yield split, future.result()
                shown.advance(count)

        for name, image in raw.images():
            if name not in left:
                continue
            del left[name]
            split = splits[name]
            chunks[split].append(Job(name, raw.items[name], number[name], image))
            if len(chunks[split]) == CHUNK:
                submit(split)
                # Bounds what is in memory, and keeps every worker busy.
                yield from finish(2 * workers)
        for split in SPLITS:
            if chunks[split]:
                submit(split)
        yield from finish(0)
    raw.problems.extend(Problem(name, "image", "missing") for name in left)


def _chunk(jobs: list[Job], block: Preparation, known: Any) -> Part:
    kind, chunk = kinds.part(block.task, "prepare"), Chunk()
    for job in jobs:
        try:
            kind.convert(job, block, known, chunk)
        except images.Undecodable as error:
            chunk.problems.append(Problem(job.name, "image", str(error)))
    return chunk.part(block.dataset)


def _origin(folder: Path) -> dict[str, Any]:
    path = folder / "origin.json"
    try:
        origin = json.loads(path.read_bytes())
        return {"origin": str(origin["origin"]), "licence": str(origin["licence"])}
    except FileNotFoundError:
        raise Error(f"{path}: no such file; run: dvc repro download@{folder.name}") from None
    except (ValueError, KeyError, TypeError):
        raise Error(f"{path}: damaged; delete {folder} and run: dvc repro download@{folder.name}") from None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV's own threads would compete with the workers; Pillow's warning of a decompression bomb is taken as its error."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            yield
    finally:
        cv2.setNumThreads(before)


def main(name: Annotated[str, typer.Argument(help="A key of `preprocess` in params.yaml.")]) -> None:
    """Prepare a data set: fixed-size uint8 arrays with a fixed split, in data/processed/NAME.

    Reads data/raw/<dataset> (made by `python -m tasks.download`) and the block NAME of params.yaml in the current folder. What
    cannot be used is listed in data/processed/NAME/skipped.csv; more of it than `max_bad_share` is an error.
    """
    info = prepare(config.load(experiments=False), name)
    counts = ", ".join(f"{count:,} {split}" for split, count in info.counts.items())
    print(f"{name}: {counts}; {info.skipped} skipped; {info.size} px; {info.hash[:12]}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
