from pathlib import Path

import pytest

from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.records import Item, Problem
from tests.tasks.datasets.layouts import block, jpeg, zipped

SETTINGS = block("flickr8k", task="translate", size=16)
SENTENCES = "Flickr8k.token.txt"


def write(raw: Path, tokens: str | bytes, dev: str = "b.jpg\n", **others: bytes) -> None:
    lists = {"train": "a.jpg\r\nd.jpg\r\n", "dev": dev, "test": "c.jpg"}
    files = {f"Flickr_8k.{name}Images.txt": text.encode() for name, text in lists.items()}
    files |= {SENTENCES: tokens if isinstance(tokens, bytes) else tokens.encode(), "__MACOSX/._" + SENTENCES: b"mac"}
    zipped(raw / "Flickr8k_text.zip", {name: content for name, content in (files | others).items() if content})
    photographs = {f"Flicker8k_Dataset/{name}.jpg": jpeg() for name in "abcdx"}
    zipped(raw / "Flickr8k_Dataset.zip", photographs | {"__MACOSX/Flicker8k_Dataset/._a.jpg": b"mac"})


def test_photographs_have_sentences_and_the_publishers_splits(raw: Path) -> None:
    tokens = "a.jpg#0\tA dog .\na.jpg#1\t Two dogs # one red .  \nb.jpg#0\tB .\nc.jpg#0\tC .\nd.jpg#0\tD .\nx.jpg#0\tX .\n"
    write(raw, tokens)
    data = readers.read(raw, SETTINGS)
    assert data.items == {
        "a.jpg": Item("train", sentences=("A dog .", "Two dogs # one red .")),
        "d.jpg": Item("train", sentences=("D .",)),
        "b.jpg": Item("val", sentences=("B .",)),
        "c.jpg": Item("test", sentences=("C .",)),
    }
    assert data.problems == []
    assert [name for name, _ in data.images()] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_lines_and_photographs_that_cannot_be_used_are_listed(raw: Path) -> None:
    tokens = b"a.jpg#0\tA .\na.jpg#1\t \na.jpg A .\nb.jpg#x\tB .\nb.jpg#0\tB\xff .\nc.jpg#0\tC .\n\nd.jpg#0\tD .\n"
    write(raw, tokens)
    data = readers.read(raw, SETTINGS)
    assert data.items["a.jpg"].sentences == ("A .",)
    kinds = [(problem.file, problem.kind) for problem in data.problems]
    assert kinds == [
        ("a.jpg", "sentence"),
        ("a.jpg A .", "sentence"),
        ("b.jpg", "sentence"),
        ("b.jpg", "sentence"),
        ("b.jpg", "annotation"),
    ]
    assert data.problems[-1] == Problem("b.jpg", "annotation", "no sentence")
    assert "line 2 of Flickr8k.token.txt" in data.problems[0].reason


def test_lists_that_are_missing_or_share_a_photograph_are_refused(raw: Path) -> None:
    write(raw, "", dev="a.jpg\n")
    with pytest.raises(Error, match=r"no Flickr8k.token.txt in this archive"):
        readers.read(raw, SETTINGS)
    write(raw, "a.jpg#0\tA .\n", dev="a.jpg\n")
    with pytest.raises(Error, match=r"a.jpg is in the lists of train and val"):
        readers.read(raw, SETTINGS)
