"""What an evaluation of two encoders measures and writes: retrieval both ways, and classes told apart by sentences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from tasks.imaging.figures import save
from tasks.kinds.embed import data, figures, retrieval
from tasks.learning.measuring import Out, Test
from tasks.words import data as described
from tasks.words.features import kept

BATCH = 1024  # sentences at once
FIVE = 5
# Sentences that are shown, by their place in the order of ranks.
SHOWN = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Outputs:
    """Unit vectors of test: `images` (N, D) with sentences, and their `rows`; `sentences` (M, D), `texts` and the image that `owner` (M,)
    numbers; `crops` (K, D) with the classes `labels` (K,), and `prompts` (P, D) with theirs, `classes` (P,)."""

    images: np.ndarray
    rows: np.ndarray
    sentences: np.ndarray
    texts: list[str]
    owner: np.ndarray
    crops: np.ndarray
    labels: np.ndarray
    prompts: np.ndarray
    classes: np.ndarray
    names: list[str]


def measure(test: Test) -> tuple[Outputs, dict[str, float]]:
    """The vectors of all images and of all their sentences, and the numbers."""
    vectors = look(test, test.data.images)
    labels = data.examples(test.data)["labels"]
    rows = np.flatnonzero(data.is_described(labels))
    texts = described.texts(test.data)
    own = [texts[row] for row in rows]
    names, prompted, classes = data.prompts(test.info)
    flat = [text for sentences in own for text in sentences]
    outputs = Outputs(
        images=vectors[rows],
        rows=rows,
        sentences=encode(test, flat),
        texts=flat,
        owner=np.repeat(np.arange(len(rows)), [len(sentences) for sentences in own]),
        crops=vectors[~data.is_described(labels)],
        labels=labels[~data.is_described(labels)],
        prompts=encode(test, prompted),
        classes=classes,
        names=names,
    )
    numbers = retrieval.recalls(outputs.images, outputs.sentences, outputs.owner)
    if len(outputs.crops):
        numbers |= retrieval.zero_shot(outputs.crops, outputs.labels, outputs.prompts, classes, len(names))
    return outputs, numbers


@torch.inference_mode()
def look(test: Test, images: np.ndarray) -> np.ndarray:
    """Unit vectors float32 (N, D) of uint8 images (N, H, W, 3). What the frozen backbone sees is kept: all seeds have the same."""
    network: Any = test.network.eval()
    seen = kept(network.features, network.backbone, torch.from_numpy(np.array(images)).to(test.device), test.precision)
    vectors: np.ndarray = network.encode_features(seen.float().to(test.device)).cpu().numpy()
    return vectors


@torch.inference_mode()
def encode(test: Test, texts: list[str]) -> np.ndarray:
    """Unit vectors float32 (M, D) of sentences."""
    numbers = torch.from_numpy(data.encoded(test.info, texts)).to(test.device)
    found = [test.network.encode_sentences(part).cpu() for part in numbers.split(BATCH)]  # type: ignore[operator]
    return torch.cat(found).numpy()


def write(test: Test, outputs: Outputs, out: Out) -> None:
    """Write the ranks with their intervals, the classes of crops, and the pictures."""
    similarity = outputs.sentences @ outputs.images.T
    relevant = outputs.owner[:, None] == np.arange(len(outputs.images))
    places = {"image": retrieval.ranks(similarity, relevant), "text": retrieval.ranks(similarity.T, relevant.T)}
    owners = {"image": outputs.owner, "text": np.arange(len(outputs.images))}
    rows = [
        {
            "metric": f"recall{k}_{query}",
            "value": hits.mean(),
            **dict(zip(("low", "high"), retrieval.interval(hits, owners[query]))),
        }
        | {"queries": len(hits), "candidates": similarity.shape[1 if query == "image" else 0]}
        for query, found in places.items()
        for k in (1, FIVE, 10)
        for hits in [found <= k]
    ]
    out.table("retrieval", pd.DataFrame(rows))
    files = test.data.index["file"].to_numpy()[outputs.rows]
    ranks = pd.DataFrame({"file": files[outputs.owner], "sentence": outputs.texts, "place": places["image"]})
    ranks.to_parquet(out.predictions / "ranks.parquet", index=False)
    save(figures.grid(_queries(test, outputs, similarity, places["image"])), out.plots / "retrieval.png")
    save(figures.spaces(outputs.images, outputs.sentences, outputs.owner), out.plots / "spaces.png")
    if len(outputs.crops):
        _write_classes(outputs, out)


def _queries(test: Test, outputs: Outputs, similarity: np.ndarray, places: np.ndarray) -> list[figures.Query]:
    order = np.argsort(places, kind="stable")
    shown = []
    for share in SHOWN:
        sentence = order[round(share * (len(order) - 1))]
        nearest = np.argsort(-similarity[sentence], kind="stable")[:FIVE]
        pictures = [test.data.images[outputs.rows[image]] for image in nearest]
        own = [image == outputs.owner[sentence] for image in nearest]
        shown.append(figures.Query(outputs.texts[sentence], int(places[sentence]), pictures, own))
    return shown


def _write_classes(outputs: Outputs, out: Out) -> None:
    one, several = retrieval.classified(outputs.crops, outputs.prompts, outputs.classes, len(outputs.names))
    count = len(outputs.names)
    confused = np.zeros((count, count), int)
    np.add.at(confused, (outputs.labels, several), 1)
    frame = pd.DataFrame(
        {
            "class": outputs.names,
            "crops": confused.sum(1),
            "zero_shot": retrieval.by_class(one, outputs.labels, count),
            "zero_shot_ensemble": retrieval.by_class(several, outputs.labels, count),
        }
    )
    out.table("zero_shot", frame)
    save(figures.confusion(confused, outputs.names), out.plots / "zero_shot.png")
