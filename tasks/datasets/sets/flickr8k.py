"""Flickr8k: 8,000 photographs, five sentences each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.errors import Error
from tasks.datasets import archives
from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import Dataset, File

if TYPE_CHECKING:
    from tasks.datasets.data import Split

PHOTOGRAPHS, TEXT, SENTENCES = "Flickr8k_Dataset.zip", "Flickr8k_text.zip", "Flickr8k.token.txt"
# The publisher hands them out to those who ask (form 1713398 of illinois.edu); these addresses give the same files without asking.
_URLS = (
    "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/{}",
    "http://nlp.cs.illinois.edu/HockenmaierGroup/Framing_Image_Description/{}",
)

SOURCE = Dataset(
    "photographs under Flickr's terms of use; for research and education, citing Hodosh et al. 2013",
    "https://hockenmaier.cs.illinois.edu/8k-pictures.html",
    files=tuple(File(name, tuple(url.format(name) for url in _URLS)) for name in (PHOTOGRAPHS, TEXT)),
)


def read(folder: Path, _: Settings) -> Raw:
    """The publisher's train, dev (validation) and test; photographs that are in none of their lists are left out.

    Raises Error where a list is missing, and where two lists share a photograph.
    """
    path = folder / TEXT
    lists: dict[str, Split] = {"train": "train", "dev": "val", "test": "test"}
    wanted = {f"Flickr_8k.{name}Images.txt" for name in lists} | {SENTENCES}
    texts = {
        archives.tail(name, 1): content.decode(errors="replace")
        for name, content in archives.read_members(path, lambda name: archives.tail(name, 1) in wanted)
    }
    if missing := wanted - texts.keys():
        raise Error(f"{path}: no {', '.join(sorted(missing))} in this archive; is it another edition?")
    splits: dict[str, Split] = {}
    for name, split in lists.items():
        for file in texts[f"Flickr_8k.{name}Images.txt"].split():
            if splits.setdefault(file, split) != split:
                raise Error(f"{path}: {file} is in the lists of {splits[file]} and {split}, and may be in one only")
    if not splits:
        raise Error(f"{path}: its lists of photographs are empty; is it another edition?")
    sentences, problems = _sentences(texts[SENTENCES])
    problems += [Problem(file, "annotation", "no sentence") for file in splits if file not in sentences]
    items = {file: Item(split, sentences=tuple(sentences.get(file, ()))) for file, split in splits.items()}

    def images() -> Iterator[tuple[str, Image]]:
        for name, content in archives.read_members(folder / PHOTOGRAPHS, lambda n: archives.tail(n, 1) in items):
            yield archives.tail(name, 1), content

    return Raw(items, images, (), problems)


def _sentences(text: str) -> tuple[dict[str, list[str]], list[Problem]]:
    """The sentences by the photographs' names. A line is the name, #, a number, a tab and the sentence; another is a problem."""
    found: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([^#\t]+)#[0-9]+\t\s*(\S.*?)\s*", line)
        if match and "\ufffd" not in line:
            found.setdefault(match[1], []).append(match[2])
        else:
            name = line.split("#")[0].strip()[:60]
            problems.append(
                Problem(name or SENTENCES, "sentence", f"line {number} of {SENTENCES} is no name, number and sentence")
            )
    return found, problems
