"""How good sentences are: BLEU, CIDEr-D and ROUGE-L of answers against several references each, and what they are made of.

An answer is a list of words, its references are a list of such lists (`tasks.words.data.references`). The numbers are those of
pycocoevalcap, the evaluation of COCO's captions, on the same words, to 1e-6.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Words = Sequence[str]
Gram = tuple[str, ...]
ORDER = 4
# Of CIDEr-D's penalty on lengths that differ, and of ROUGE-L's weight of recall.
SIGMA, BETA = 6.0, 1.2
# As in pycocoevalcap: where nothing was guessed, nothing is right.
_TINY, _SMALL = 1e-15, 1e-9


def scores(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """`bleu1` to `bleu4`, `cider` and `rouge_l` of answers; 0 to 1, but for `cider`, whose 1.0 is what papers print as 100."""
    found = {f"bleu{order}": value for order, value in enumerate(bleu(answers, references), 1)}
    return {**found, "cider": float(np.mean(cider(answers, references))), "rouge_l": float(np.mean(rouge_l(answers, references)))}


def bleu(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """BLEU-1 to BLEU-4 of the whole corpus (Papineni et al. 2002); of two equally close lengths of references the shorter counts."""
    return [*map(float, _bleu(_counts(answers, references).sum(0)))]


def _counts(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """What BLEU adds up, of each answer (N, 10): right and guessed runs of one to four words, its length and the closest reference's."""
    table = np.zeros((len(answers), 2 * ORDER + 2))
    for row, answer, own in zip(table, answers, references, strict=True):
        most: Counter[Gram] = Counter()
        for reference in own:
            most |= grams(reference)
        for gram, count in grams(answer).items():
            row[len(gram) - 1] += min(count, most[gram])
        row[ORDER:-2] = [max(0, len(answer) - order) for order in range(ORDER)]
        row[-2:] = len(answer), min((abs(len(reference) - len(answer)), len(reference)) for reference in own)[1]
    return table


def _bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 (..., 4) of sums of `_counts` (..., 10)."""
    ratio = (sums[..., -2] + _TINY) / (sums[..., -1] + _SMALL)
    brevity = np.exp(np.minimum(0, 1 - 1 / ratio))
    products = np.cumprod((sums[..., :ORDER] + _TINY) / (sums[..., ORDER:-2] + _SMALL), -1)
    means: np.ndarray = products ** (1 / np.arange(1, ORDER + 1)) * brevity[..., None]
    return means


def intervals(answers: Sequence[Words], references: Sequence[Sequence[Words]], draws: int, seed: int = 0) -> dict[str, list[Any]]:
    """Columns metric, value, low and high: where 95 % of `draws` draws of the images with replacement have BLEU-4, CIDEr-D and ROUGE-L.

    The document frequencies of CIDEr-D stay those of all references.
    """
    chosen = np.random.default_rng(seed).integers(0, len(answers), (draws, len(answers)))
    counts = _counts(answers, references)
    values = {"bleu4": (_bleu(counts.sum(0))[-1], _bleu(counts[chosen].sum(1))[:, -1])}
    for name, each in (("cider", cider(answers, references)), ("rouge_l", rouge_l(answers, references))):
        values[name] = each.mean(), each[chosen].mean(1)
    rows = [(name, float(value), *np.quantile(drawn, (0.025, 0.975)).tolist()) for name, (value, drawn) in values.items()]
    return {column: [*found] for column, found in zip(("metric", "value", "low", "high"), zip(*rows))}


class Documents:
    """How rare runs of words are in the references of a set of images, by which CIDEr-D weighs them."""

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        found = Counter(gram for own in references for gram in {gram for reference in own for gram in grams(reference)})
        self.total = math.log(len(references))
        self.weights = {gram: self.total - math.log(count) for gram, count in found.items()}

    def cider(self, answer: Words, references: Sequence[Words]) -> float:
        """CIDEr-D of an answer (Vedantam et al. 2015, equations 2, 5 and 6)."""
        mine = self._weighed(answer)
        similar = [_similarity(mine, self._weighed(reference), len(answer) - len(reference)) for reference in references]
        return 10 * float(np.mean(similar))

    def _weighed(self, sentence: Words) -> tuple[list[dict[Gram, float]], list[float]]:
        """Counts times inverse document frequencies of n-grams, and their norms, by n. An n-gram of no document weighs as that of one."""
        vectors: list[dict[Gram, float]] = [{} for _ in range(ORDER)]
        for gram, count in grams(sentence).items():
            vectors[len(gram) - 1][gram] = count * self.weights.get(gram, self.total)
        return vectors, [math.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]


def cider(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """CIDEr-D of each answer, float64 (N,); the document frequencies are of the references."""
    documents = Documents(references)
    return np.array([documents.cider(answer, own) for answer, own in zip(answers, references, strict=True)])


def rouge_l(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """ROUGE-L of each answer (Lin 2004), float64 (N,): the best precision and the best recall over the references."""
    found = []
    for answer, own in zip(answers, references, strict=True):
        shared = [common(answer, reference) for reference in own]
        precision = max(shared) / max(1, len(answer))
        recall = max(length / len(reference) for length, reference in zip(shared, own))
        found.append((1 + BETA**2) * precision * recall / (recall + BETA**2 * precision) if precision else 0.0)
    return np.array(found)


def diversity(answers: Sequence[Words], train: Iterable[Words]) -> dict[str, float]:
    """`distinct`, the share of different sentences; `copied`, of those that stand in train word by word; `words`, their mean length."""
    said = [tuple(answer) for answer in answers]
    known = {tuple(sentence) for sentence in train}
    return {
        "distinct": len({*said}) / len(said),
        "copied": float(np.mean([sentence in known for sentence in said])),
        "words": float(np.mean([len(sentence) for sentence in said])),
    }


def grams(sentence: Words) -> Counter[Gram]:
    """How often each run of one to four words comes."""
    return Counter(tuple(sentence[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(sentence) - n + 1))


def _similarity(mine: tuple[Sequence, Sequence], theirs: tuple[Sequence, Sequence], difference: int) -> float:
    """The mean over n of the clipped cosines, with the penalty on the difference in length."""
    found = 0.0
    for vector, other, norm, others in zip(mine[0], theirs[0], mine[1], theirs[1]):
        if norm and others:
            found += sum(min(value, other[gram]) * other[gram] for gram, value in vector.items() if gram in other) / (
                norm * others
            )
    return found / ORDER * math.exp(-(difference**2) / (2 * SIGMA**2))


def common(first: Words, second: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = row
        row = [0]
        for place, other in enumerate(second):
            row.append(before[place] + 1 if word == other else max(row[-1], before[place + 1]))
    return row[-1]
