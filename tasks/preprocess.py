"""Prepare a data set: fixed-size uint8 arrays with a fixed split, in data/processed/<name>/ (see tasks.datasets.data).

python -m tasks.preprocess NAME        NAME is a key of `preprocess` in params.yaml
"""

import hashlib
import json
import logging
import math
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pandas as pd
import PIL.Image
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks import config
from tasks.common import cli
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.common.processors import processors
from tasks.config import Profile
from tasks.datasets import readers
from tasks.datasets.arrays import Part, SplitWriter, moments
from tasks.datasets.data import SPLITS, Info, Split
from tasks.datasets.records import Image, Item, Problem, Raw
from tasks.imaging import filters, images
from tasks.params.preparation import Prepare, PrepareClassify, PrepareDetect, PrepareTranslate

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


def write(folder: Path, block: Prepare, to: Path) -> Info:
    """Prepare the raw `folder` into the folder `to`, whose name becomes the data's. Raises Error as `prepare` does."""
    origin = _origin(folder)
    raw = readers.read(folder, block)
    splits = assign(raw, block)
    with atomic_folder(to) as building, ExitStack() as files:
        arrays = {split: SplitWriter(building / split, block, files) for split in SPLITS}
        for split, done in _work(raw, splits, block):
            raw.problems.extend(done.problems)
            arrays[split].add(done)
        channels = next((a.shape[-1] for a in arrays.values() if a.shape), None)
        bad = sorted({p.file for p in raw.problems if _loses(p, block)})
        if channels is None or len(bad) > block.max_bad_share * len(splits):
            named = "; ".join(f"{p.file}: {p.reason}" for p in raw.problems if _loses(p, block))[:500]
            raise Error(
                f"preprocess.{to.name}: {len(bad)} of {len(splits)} images of {block.dataset} cannot be used, more than "
                f"max_bad_share {block.max_bad_share} allows; the first: {named}. Download {block.dataset} again, or allow more"
            )
        size = block.size or next(a.shape[0] for a in arrays.values() if a.shape)
        digest = hashlib.sha256()
        for split in SPLITS:
            digest.update(arrays[split].close((size, size, channels)))
        listed = sorted(set(raw.problems))
        pd.DataFrame(listed, columns=["file", "kind", "reason"]).to_csv(
            building / "skipped.csv", index=False, lineterminator="\n"
        )
        # A set that is for testing only is measured on what it has.
        measured = [arrays["train"]] if arrays["train"].count else list(arrays.values())
        mean, std = moments(np.sum([a.levels for a in measured], axis=0)[:channels])
        info = Info(
            name=to.name,
            dataset=block.dataset,
            task=block.task,
            origin=origin["origin"],
            licence=origin["licence"],
            size=size,
            channels=channels,
            classes=() if isinstance(block, PrepareTranslate) else raw.classes,
            counts={split: arrays[split].count for split in SPLITS},
            mean=mean,
            std=std,
            skipped=len(bad),
            hash=digest.hexdigest(),
            settings=block.model_dump(mode="json"),
        )
        write_json(building / "dataset.json", info.model_dump(mode="json"))
    return info


def assign(raw: Raw, block: Prepare) -> dict[str, Split]:
    """Each image's split: the publisher's, with validation and, where there is none, test held out of train.

    The same share of each class is held out.

    Raises Error when the block asks for a split that is published, or does not ask for one that is not.
    """
    splits = {name: item.split for name, item in raw.items.items()}
    if isinstance(block, PrepareClassify) and any(item.label is None for item in raw.items.values()):
        raise Error(f"preprocess: the images of {block.dataset} have no single label; task: classify cannot use them")
    if isinstance(block, PrepareDetect) and all(item.boxes is None for item in raw.items.values()):
        raise Error(f"preprocess: the images of {block.dataset} have no boxes; task: detect cannot use them")
    if raw.drawn or "train" not in splits.values():
        return splits
    published = set(splits.values())
    train = [name for name, split in splits.items() if split == "train"]
    random = np.random.default_rng(block.seed)
    for split, key in (("test", "test"), ("val", "validation")):
        wanted = getattr(block, key)
        if split in published:
            if key in block.model_fields_set and wanted is not None:
                raise Error(f"preprocess: {block.dataset} is published with a {split} split; leave out the key `{key}`")
            continue
        if wanted is None:
            raise Error(
                f"preprocess: {block.dataset} is published without a {split} split; say with the key `{key}` how much to hold out"
            )
        count = wanted if isinstance(block, PrepareClassify) else math.ceil(wanted * len(raw.items))
        if split == "val" and not isinstance(block, PrepareClassify):
            count = math.ceil(wanted * len(train))
        if count >= len(train):
            raise Error(f"preprocess: `{key}` holds out {count} images of {block.dataset}, and there are only {len(train)}")
        held = _hold_out([raw.items[name].label for name in train], count, random)
        splits |= {train[i]: split for i in held}  # type: ignore[misc]
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


Job = tuple[str, Item, int, Image]


def _work(raw: Raw, splits: dict[str, Split], block: Prepare) -> Iterator[tuple[Split, Part]]:
    """Prepare chunks in all cores, and yield them in a fixed order; images that never come are listed at the end."""
    number = {name: i for i, name in enumerate(splits)}
    left = dict.fromkeys(number)
    for problem in raw.problems:
        if _loses(problem, block):
            left.pop(problem.file, None)
    chunks: dict[Split, list[Job]] = {split: [] for split in SPLITS}
    workers = processors()
    waiting: deque[tuple[Split, int, Future[Part]]] = deque()
    with _one_thread_each(), _progress(block.dataset, len(left)) as advance, ThreadPoolExecutor(workers) as pool:

        def submit(split: Split) -> None:
            jobs, chunks[split] = chunks[split], []
            waiting.append((split, len(jobs), pool.submit(_chunk, jobs, block, raw.classes)))

        def finish(keep: int) -> Iterator[tuple[Split, Part]]:
            while len(waiting) > keep:
                split, count, future = waiting.popleft()
                yield split, future.result()
                advance(count)

        for name, image in raw.images():
            if name not in left:
                continue
            del left[name]
            split = splits[name]
            chunks[split].append((name, raw.items[name], number[name], image))
            if len(chunks[split]) == CHUNK:
                submit(split)
                # Bounds what is in memory, and keeps every worker busy.
                yield from finish(2 * workers)
        for split in SPLITS:
            if chunks[split]:
                submit(split)
        yield from finish(0)
    raw.problems.extend(Problem(name, "image", "missing") for name in left)


def _loses(problem: Problem, block: Prepare) -> bool:
    """Whether a problem costs the image."""
    return problem.kind == "image" or (problem.kind == "annotation" and not isinstance(block, PrepareTranslate))


def _chunk(jobs: list[Job], block: Prepare, classes: tuple[str, ...]) -> Part:
    done = Part()
    pictures: list[np.ndarray] = []
    for name, item, number, image in jobs:
        try:
            squares, original, factors = _squares(image, item, number, block)
        except images.Undecodable as error:
            done.problems.append(Problem(name, "image", str(error)))
            continue
        if isinstance(block, PrepareDetect):
            for box, problem in _boxes(name, item, original, classes):
                if problem:
                    done.problems.append(problem)
                if box:
                    label, x1, y1, x2, y2, difficult = box
                    fx, fy = factors
                    done.boxes.append((len(pictures), label, x1 * fx, y1 * fy, x2 * fx, y2 * fy, difficult))
        pictures.extend(squares)
        done.rows.extend([(name, *original, item.label)] * len(squares))
    if pictures:
        if len({p.shape for p in pictures}) > 1:
            raise Error(f"preprocess: the images of {block.dataset} differ in size; give the key `size`")
        done.images = np.stack(pictures)
        tall = done.images.reshape(-1, *done.images.shape[2:])
        done.levels = np.stack([cv2.calcHist([tall], [c], None, [256], [0, 256])[:, 0] for c in range(tall.shape[-1])])
        if isinstance(block, PrepareTranslate):
            done.targets = filters.target(done.images, block.target)
    return done


def _squares(
    image: Image, item: Item, number: int, block: Prepare
) -> tuple[list[np.ndarray], tuple[int, int], tuple[float, float]]:
    """An image's squares, the original's (width, height), and the factors from its x and y to the square's."""
    detect = isinstance(block, PrepareDetect)
    crop = block.crop if isinstance(block, PrepareTranslate) else "center"
    if isinstance(image, np.ndarray):
        decoded = images.Decoded(image)
    else:
        if block.size is None:
            raise Error(f"preprocess: the images of {block.dataset} have no fixed size; give the key `size`")
        at_least = 2 * block.size if crop == "random" else block.size
        decoded = images.decode(image, at_least, fit=detect, annotated=item.size if detect else None)
    pixels, original, one = decoded.pixels, decoded.original, (1.0, 1.0)
    if isinstance(block, PrepareDetect):
        if item.size not in (None, original):
            raise images.Undecodable(f"annotated at {item.size} pixels (width, height), and the image has {original}")
        square, factors = images.fit(pixels, block.size, original)
        return [square], original, factors
    if block.size is None:
        return [pixels], original, one
    if crop == "none":
        return [images.resize(pixels, block.size, block.size)], original, one
    if crop == "center":
        return [images.center_square(pixels, block.size)], original, one
    # A stream of its own for each image: the result does not depend on which thread comes first.
    random = np.random.default_rng([block.seed, number])
    count = block.crops_per_image if isinstance(block, PrepareTranslate) else 1
    return [images.random_square(pixels, block.size, random) for _ in range(count)], original, one


def _boxes(name: str, item: Item, size: tuple[int, int], classes: tuple[str, ...]) -> Iterator[tuple[Any, Problem | None]]:
    """Each box as (label, x1, y1, x2, y2, difficult), clipped to the image, or None, and what was wrong with it."""
    width, height = size
    for box in item.boxes or ():
        corners = (box.x1, box.y1, box.x2, box.y2)
        shown = f"{box.label} {', '.join(f'{v:g}' for v in corners)} in {width} x {height}"
        x1, y1, x2, y2 = max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height))
        reason = ""
        if box.label not in classes:
            reason = "unknown class"
        elif not all(map(math.isfinite, corners)):
            reason = "not a number"
        elif box.x2 < box.x1 or box.y2 < box.y1:
            reason = "inverted"
        elif box.x2 == box.x1 or box.y2 == box.y1:
            reason = "no area"
        elif x2 <= x1 or y2 <= y1:
            reason = "outside the image"
        if reason:
            yield None, Problem(name, "box", f"{reason}: {shown}")
            continue
        # A pixel over the edge is rounding, and not worth a line.
        far = max(x1 - box.x1, y1 - box.y1, box.x2 - x2, box.y2 - y2) > 1
        clipped = Problem(name, "box", f"clipped: {shown}") if far else None
        yield (classes.index(box.label), x1, y1, x2, y2, box.difficult), clipped


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


@contextmanager
def _progress(name: str, total: int) -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (TextColumn("preparing {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda count: progress.advance(task, count)


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
