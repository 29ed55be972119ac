"""Measure CLIP's weights that were trained elsewhere on prepared data: `python -m tasks.evaluate_clip DATA --weights laion400m_e32`.

The numbers are those of the kind `embed` (`tasks.kinds.embed.retrieval`), on the same photographs, sentences and crops as our own network's.
Nothing is trained, and nothing is chosen.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tasks import config
from tasks.common import bars
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets import data
from tasks.datasets.data import SPLITS, Data, Split
from tasks.finding.encoders import Encoder, choose
from tasks.imaging import images
from tasks.kinds.embed import data as embed
from tasks.kinds.embed import retrieval
from tasks.params.params import known_to_user
from tasks.profile import Profile
from tasks.words import data as described

KIND = "embed"
BATCH = 32  # images at once


def measure(profile: Profile, name: str, encoder: Encoder, split: Split = "test") -> dict[str, float]:
    """The recalls of an encoder on a split of prepared data, and where it has crops of objects the shares that are classified right.

    Raises Error for an unknown name, data of another kind, and data that are not prepared.
    """
    known_to_user(name, profile.params.preprocess, "data")
    if (task := profile.params.preprocess[name].task) != KIND:
        raise Error(f"{name}: data of the task {task}, which have no crops and sentences; give data of {KIND}")
    folder = profile.processed(name)
    info, own = data.info(folder), Data(folder, split)
    vectors = _images(encoder, own.images)
    labels = embed.examples(own)["labels"]
    rows = np.flatnonzero(embed.is_described(labels))
    texts = described.texts(own)
    owner = np.repeat(np.arange(len(rows)), [len(texts[row]) for row in rows])
    sentences = _sentences(encoder, [text for row in rows for text in texts[row]])
    numbers = retrieval.recalls(vectors[rows], sentences, owner)
    crops = ~embed.is_described(labels)
    if crops.any():
        names, prompts, classes = embed.prompts(info)
        numbers |= retrieval.zero_shot(vectors[crops], labels[crops], _sentences(encoder, prompts), classes, len(names))
    return numbers


def _images(encoder: Encoder, pixels: np.ndarray) -> np.ndarray:
    found = []
    for start in bars.track(range(0, len(pixels), BATCH), "images"):
        squares = [images.resize(image, encoder.size, encoder.size) for image in pixels[start : start + BATCH]]
        found.append(encoder.images(squares))
    return np.concatenate(found)


def _sentences(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """Unit vectors; of a sentence that says nothing to the encoder zeros, by which nothing is found."""
    found = []
    for text in bars.track(texts, "sentences"):
        try:
            found.append(encoder.sentence(text)[0])
        except Error:
            found.append(np.zeros(encoder.dimensions, np.float32))
    return np.stack(found)


def main(
    name: Annotated[str, typer.Argument(metavar="DATA", help="a key of `preprocess` in params.yaml, of the task embed")],
    weights: Annotated[
        str | None,
        typer.Option(
            callback=readable, help="a file, laion400m_e32 or laion2b_e16, as of tasks.find; by default what comes with the code"
        ),
    ] = None,
    merges: Annotated[
        Path | None, typer.Option(callback=readable, help="bpe_simple_vocab_16e6.txt.gz, for weights in open_clip's layout")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    out: Annotated[Path | None, typer.Option(help="also write the numbers as JSON")] = None,
) -> None:
    """Measure weights that were trained elsewhere on prepared data: retrieval both ways, and classes told apart by sentences."""
    known_to_user(split, SPLITS, "split")
    profile = config.load(experiments=False)
    encoder = choose(weights, merges, profile.params.device)
    numbers = measure(profile, name, encoder, split)  # type: ignore[arg-type]
    if out is not None:
        write_json(out, {"data": name, "split": split, "weights": encoder.network, "name": encoder.name, "metrics": numbers})
    print(json.dumps(numbers, indent=2))
    print(f"measured {encoder.name} on {split} of {name}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
