"""The numbers of retrieval and of classification by sentences: plain functions on similarities.

A candidate that is as similar as the right one counts as found before it: an encoder that gives everything the same vector has a recall of 0.
"""

import numpy as np


def ranks(similarity: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The place, from 1 on, of each query's best relevant candidate: int64 (Q,).

    `similarity`: (Q, N), larger is nearer; `relevant`: bool (Q, N). Ties count against the query. Raises ValueError where a query has no
    relevant candidate, and where similarities are not finite.
    """
    if not np.isfinite(similarity).all():
        raise ValueError("similarities are not finite")
    if not relevant.any(1).all():
        raise ValueError("a query without a relevant candidate has no rank")
    best = np.where(relevant, similarity, -np.inf).max(1, keepdims=True)
    found: np.ndarray = 1 + ((similarity >= best) & ~relevant).sum(1)
    return found


def recall(places: np.ndarray, k: int) -> float:
    """The share of queries whose best relevant candidate is among the first `k` (recall@k of retrieval)."""
    return float((places <= k).mean())


def recalls(images: np.ndarray, sentences: np.ndarray, owner: np.ndarray) -> dict[str, float]:
    """`recall1_image` and `recall5_image` (a sentence is the query), `recall1_text` and `recall5_text` (an image is the query).

    `images`: unit vectors (N, D); `sentences`: unit vectors (M, D); `owner`: the image of each sentence (M,). An image's query is right
    where any of its sentences is found.
    """
    similarity = sentences @ images.T
    relevant = owner[:, None] == np.arange(len(images))
    by_sentence, by_image = ranks(similarity, relevant), ranks(similarity.T, relevant.T)
    return {
        f"recall{k}_{name}": recall(places, k) for name, places in (("image", by_sentence), ("text", by_image)) for k in (1, 5)
    }


def interval(hits: np.ndarray, owner: np.ndarray, seed: int = 0, draws: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """The bootstrap's interval of a mean of hits (M,) over images drawn with replacement; an image's sentences are drawn together."""
    count = int(owner.max()) + 1
    sums, sizes = np.bincount(owner, hits, count), np.bincount(owner, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def prompted(sentences: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """A unit vector a class (K, D): the mean of its sentences' unit vectors (P, D), whose classes are (P,) (Radford et al., 3.1.4)."""
    sums = np.zeros((count, sentences.shape[1]))
    np.add.at(sums, classes, sentences)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(min=1e-12)


def by_class(found: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The share of each class that was classified right (K,); NaN for a class that there is none of."""
    right = np.bincount(labels[found == labels], minlength=count)
    there = np.bincount(labels, minlength=count)
    return np.divide(right, there, out=np.full(count, np.nan), where=there > 0)


def classified(images: np.ndarray, prompts: np.ndarray, classes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes (N,) of images by one sentence a class, the first of each, and by all of its sentences.

    `images`: unit vectors (N, D); `prompts`: unit vectors (P, D) of sentences, whose classes are (P,).
    """
    first = np.unique(classes, return_index=True)[1]
    one = (images @ prompts[first].T).argmax(1)
    return one, (images @ prompted(prompts, classes, count).T).argmax(1)


def zero_shot(images: np.ndarray, labels: np.ndarray, prompts: np.ndarray, classes: np.ndarray, count: int) -> dict[str, float]:
    """`zero_shot`, the share of images (N, D) of `labels` (N,) that one sentence a class classifies right; `zero_shot_ensemble`, by all
    sentences; `zero_shot_by_class`, by all sentences, the mean over classes."""
    one, several = classified(images, prompts, classes, count)
    return {
        "zero_shot": float((one == labels).mean()),
        "zero_shot_ensemble": float((several == labels).mean()),
        "zero_shot_by_class": float(np.nanmean(by_class(several, labels, count))),
    }
