"""Scores of sentences equal kept implementations to 1e-6 on the same words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.words import scores
from tasks.words.vocabulary import words

ANSWERS = ["a dog runs through the snow", "two dogs", "a man", "a red ball on the green grass with a dog and a man", "a a a a a"]
REFERENCES = [
    ["a dog runs in the snow", "the black dog is running through deep snow", "dog in snow"],
    ["two dogs play with each other", "two brown dogs"],
    ["a woman in a hat", "she has a hat on"],
    ["a dog with a red ball on the grass", "the dog runs after a ball", "a red ball"],
    ["a a b a a", "a"],
]


def split(answers: list[str], references: list[list[str]]) -> tuple[list[list[str]], list[list[list[str]]]]:
    return [words(answer) for answer in answers], [[words(text) for text in own] for own in references]


def coco(answers: list[str], references: list[list[str]]) -> dict[str, float]:
    """The numbers of pycocoevalcap's plain Python parts."""
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu_scorer", reason="needs pycocoevalcap")
    from pycocoevalcap.cider.cider_scorer import CiderScorer
    from pycocoevalcap.rouge.rouge import Rouge

    scorer, cider = bleu.BleuScorer(n=4), CiderScorer()
    for answer, own in zip(answers, references):
        scorer += (answer, own)
        cider += (answer, own)
    found = {f"bleu{n}": value for n, value in enumerate(scorer.compute_score(option="closest")[0], 1)}
    by_number = dict(enumerate(references))
    rouge, _ = Rouge().compute_score(by_number, {n: [answer] for n, answer in enumerate(answers)})
    return {**found, "cider": float(cider.compute_score()[0]), "rouge_l": float(rouge)}


def test_they_are_those_of_cocos_evaluation() -> None:
    assert scores.scores(*split(ANSWERS, REFERENCES)) == pytest.approx(coco(ANSWERS, REFERENCES), abs=1e-6)


SENTENCE = st.lists(st.sampled_from("abc"), min_size=1, max_size=9).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SENTENCE, st.lists(SENTENCE, min_size=1, max_size=4)), min_size=2, max_size=6))
def test_they_are_those_of_cocos_evaluation_whatever_is_said(pairs: list[tuple[str, list[str]]]) -> None:
    answers, references = [answer for answer, _ in pairs], [own for _, own in pairs]
    assert scores.scores(*split(answers, references)) == pytest.approx(coco(answers, references), abs=1e-6)


def test_bleu_is_torchmetrics() -> None:
    """Where no two references are equally close in length, of which torchmetrics takes the first, and where runs of four words are
    right; without one torchmetrics has 0, and pycocoevalcap next to nothing."""
    from torchmetrics.functional.text import bleu_score

    random = np.random.default_rng(0)

    def sentence(length: int) -> str:
        return " ".join(random.choice(["a", "b", "c"], length))

    for _ in range(20):
        answers = [sentence(8) for _ in range(6)]
        references = [[sentence(length) for length in (5, 9, 12)] for _ in answers]
        references[0][0] = answers[0]
        found = scores.bleu(*split(answers, references))
        for order in range(1, 5):
            assert found[order - 1] == pytest.approx(float(bleu_score(answers, references, n_gram=order)), abs=1e-6)


def test_a_reference_scores_highest_and_nothing_scores_nothing() -> None:
    answers, references = split([own[0] for own in REFERENCES[:4]], REFERENCES[:4])
    found = scores.scores(answers, references)
    assert found["bleu4"] == pytest.approx(1, abs=1e-6)
    assert found["rouge_l"] == pytest.approx(1)
    assert found["cider"] > scores.scores([*answers[1:], answers[0]], references)["cider"]
    nothing = scores.scores([[]] * 4, references)
    assert set(np.round([*nothing.values()], 9)) == {0.0}


def test_what_sentences_are_made_of() -> None:
    answers = [["a", "dog"], ["a", "dog"], ["a", "cat", "runs"], ["dog"]]
    found = scores.diversity(answers, [["a", "cat", "runs"], ["dogs"]])
    assert found == {"distinct": 0.75, "copied": 0.25, "words": 2.0}
