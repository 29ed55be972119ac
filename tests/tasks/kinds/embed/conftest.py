"""Prepared data of the kind: photographs of colours, their sentences, and crops."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.common.files import write_json
from tasks.datasets.data import Info
from tasks.words.vocabulary import SPECIAL, Vocabulary
from tests.tasks.finding.conftest import COLOURS, picture

WORDS = (*SPECIAL, *COLOURS, "bright")
LENGTH = 6


def prepared(to: Path) -> Path:
    """Write prepared data: in each split three photographs with two sentences each; in validation and test three crops."""
    vocabulary = Vocabulary(WORDS)
    for split in ("train", "val", "test"):
        (to / split).mkdir(parents=True)
        texts = [[f"{colour}!", f"bright {colour} unheard"] for colour in COLOURS]
        numbers = np.array([[vocabulary.encode(text, LENGTH) for text in own] for own in texts], np.int32)
        pictures, labels = [picture(colour) for colour in COLOURS], [-1] * 3
        if split != "train":
            pictures, labels = [*pictures, *pictures], [*labels, 0, 1, 2]
            numbers = np.concatenate([numbers, np.zeros_like(numbers)])
        np.save(to / split / "images.npy", np.stack(pictures))
        np.save(to / split / "sentences.npy", numbers)
        index = pd.DataFrame({"file": [f"{i}.png" for i in range(len(labels))], "width": 32, "height": 32, "label": labels})
        index.to_parquet(to / split / "index.parquet")
        table = [{"image": image, "text": text} for image, own in enumerate(texts) for text in own]
        pd.DataFrame(table).to_parquet(to / split / "texts.parquet")
    info = Info(
        name="made", dataset="made", task="embed", origin="package", licence="test", size=32, channels=3, classes=WORDS,
        counts={"train": 3, "val": 6, "test": 6}, mean=(0.5,) * 3, std=(0.2,) * 3, skipped=0, hash="made", extra={"words": len(WORDS)},
        settings={"length": LENGTH, "objects": {name: [name, f"bright {name}"] for name in COLOURS}},
    )  # fmt: skip
    write_json(to / "dataset.json", info.dump())
    return to


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepared(tmp_path)
