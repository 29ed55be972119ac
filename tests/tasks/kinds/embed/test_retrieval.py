"""The numbers of retrieval, against slow and plain ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.kinds.embed import retrieval


def slow_rank(row: list[float], relevant: list[bool]) -> int:
    """The place of the first relevant candidate after sorting, of equal ones the relevant last."""
    order = sorted(range(len(row)), key=lambda i: (-row[i], relevant[i]))
    return 1 + next(place for place, i in enumerate(order) if relevant[i])


@st.composite
def queries(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count, candidates = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    values = draw(
        st.lists(st.lists(st.integers(-2, 2), min_size=candidates, max_size=candidates), min_size=count, max_size=count)
    )
    relevant = draw(st.lists(st.integers(1, 2**candidates - 1), min_size=count, max_size=count))
    mask = [[bool(bits >> i & 1) for i in range(candidates)] for bits in relevant]
    return np.array(values, float), np.array(mask)


@given(queries())
def test_ranks_are_those_of_a_sorted_list(case: tuple[np.ndarray, np.ndarray]) -> None:
    similarity, relevant = case
    expected = [slow_rank(row, own) for row, own in zip(similarity.tolist(), relevant.tolist())]
    assert retrieval.ranks(similarity, relevant).tolist() == expected


def test_recalls_of_both_directions_by_loops() -> None:
    rng = np.random.default_rng(0)
    images, sentences = rng.normal(size=(12, 4)), rng.normal(size=(30, 4))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    sentences /= np.linalg.norm(sentences, axis=1, keepdims=True)
    owner = np.r_[np.arange(12), rng.integers(0, 12, 18)]
    found = retrieval.recalls(images, sentences, owner)
    for k in (1, 5):
        hits = [owner[m] in np.argsort(-(images @ sentences[m]))[:k] for m in range(30)]
        assert found[f"recall{k}_image"] == pytest.approx(np.mean(hits))
        hits = [any(owner[m] == n for m in np.argsort(-(sentences @ images[n]))[:k]) for n in range(12)]
        assert found[f"recall{k}_text"] == pytest.approx(np.mean(hits))


def test_perfect_vectors_have_a_recall_of_one_and_equal_ones_of_zero() -> None:
    own, owner = np.eye(6), np.arange(6)
    assert set(retrieval.recalls(own, own, owner).values()) == {1.0}
    same = np.ones((6, 6)) / 6**0.5
    assert set(retrieval.recalls(same, same, owner).values()) == {0.0}


def test_what_has_no_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="without a relevant candidate"):
        retrieval.ranks(np.zeros((1, 2)), np.zeros((1, 2), bool))
    with pytest.raises(ValueError, match="not finite"):
        retrieval.ranks(np.array([[np.nan, 0.0]]), np.ones((1, 2), bool))


def test_the_interval_encloses_the_mean_and_is_that_of_images() -> None:
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(40), 5)
    hits = rng.random(200) < 0.3
    low, high = retrieval.interval(hits, owner)
    assert low < hits.mean() < high
    # Of an image all sentences are right or none: fewer independent hits, a wider interval.
    together = np.repeat(rng.random(40) < 0.3, 5)
    wide = np.subtract(*retrieval.interval(together, owner)[::-1])
    assert wide > high - low


def test_a_class_is_the_mean_of_its_sentences() -> None:
    sentences = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    found = retrieval.prompted(sentences, np.array([0, 0, 1]), 2)
    assert found == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [-1, 0]]))
    # Sentences that cancel out are no vector, and no NaN.
    assert np.isfinite(retrieval.prompted(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0, 0]), 1)).all()


def test_shares_by_class() -> None:
    shares = retrieval.by_class(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), 3)
    assert shares[:2] == pytest.approx([2 / 3, 1.0])
    assert np.isnan(shares[2])
