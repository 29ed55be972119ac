"""Linear separability: how much of an attribute of the images a straight cut through the numbers that they are made of can tell.

Karras et al. 2019, section 4.2: samples are sorted by an attribute, the half of them that is surest is kept, and a linear classifier is fitted
to their z, or their w. What it leaves unknown is a conditional entropy H(Y|X), and the score is the exponential of their sum over attributes:
1 where each is told by a line, 2 an attribute where a line tells nothing.

Other than published: a few thousand samples in place of 200,000; what sorts them is a logistic regression on SqueezeNet's activations, fitted
to the images that the generator learned from, in place of a network a attribute; logistic regression in place of a support vector machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.generation.paths import BATCH, Eye

KEPT = 0.5  # of the samples, the surest


@dataclass(frozen=True)
class Sorter:
    """Tells an attribute of images from what SqueezeNet sees in them. `right`: its share of right answers on images it has not seen."""

    model: object
    right: float

    def probabilities(self, seen: np.ndarray) -> np.ndarray:
        """The attribute's probability (N,), of activations (N, D)."""
        return np.asarray(self.model.predict_proba(seen)[:, 1])  # type: ignore[attr-defined]


def activations(images: Tensor) -> np.ndarray:
    """What SqueezeNet's fire modules see in images (N, C, H, W) in [0, 1], float32 (N, D): the mean of each channel over its places."""
    eye = Eye()
    parts = [torch.cat([layer.mean((2, 3)) for layer in eye(batch)], 1) for batch in images.split(BATCH)]
    return torch.cat(parts).numpy()


def sorter(seen: np.ndarray, attribute: np.ndarray, others: np.ndarray, theirs: np.ndarray) -> Sorter:
    """Fit a sorter to activations (N, D) and an attribute (N,) of 0 and 1; `others` and `theirs` are what it is measured on."""
    model = _linear().fit(seen, attribute)
    return Sorter(model, float((model.predict(others) == theirs).mean()))


def score(codes: Mapping[str, np.ndarray], probabilities: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The separability of each set of codes (N, D), by its name: exp of the entropies H(Y|X), in bits, summed over attributes.

    `probabilities`: of each attribute, (N,), in the images that the codes make.
    """
    left = dict.fromkeys(codes, 0.0)
    for probability in probabilities.values():
        surest = np.argsort(-np.abs(probability - 0.5), kind="stable")[: int(len(probability) * KEPT)]
        labels = probability[surest] > 0.5
        if labels.all() or not labels.any():
            continue  # nothing is unknown of an attribute that all have
        for name, found in codes.items():
            left[name] += conditional_entropy(_linear().fit(found[surest], labels).predict(found[surest]), labels)
    return {name: float(np.exp(bits)) for name, bits in left.items()}


def conditional_entropy(known: np.ndarray, labels: np.ndarray) -> float:
    """H(labels | known) in bits, both of 0 and 1, (N,)."""
    entropy = 0.0
    for value in (0, 1):
        rows = labels[known == value]
        for share in (rows.mean(), 1 - rows.mean()) if len(rows) else ():
            entropy -= len(rows) / len(labels) * share * np.log2(share) if share else 0.0
    return float(entropy)


def _linear():  # type: ignore[no-untyped-def]
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
