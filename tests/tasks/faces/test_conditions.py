import cv2
import numpy as np
import pandas as pd
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from tasks.faces import conditions
from tasks.faces.conditions import NONE, Conditions, choose, detail, fit, interpolated, measures
from tasks.kinds.classify.metrics import calibration_error

FACE = skimage.data.astronaut()[35:185, 155:285]


def shrunk(side: int) -> np.ndarray:
    return cv2.resize(FACE, (side, side), interpolation=cv2.INTER_AREA)


def planted(count: int = 8000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits that are too sure of small faces and lean to one class where there is no detail, the faces' measures, and their labels."""
    rng = np.random.default_rng(0)
    seen = np.stack([rng.choice([8, 16, 32, 48], count), rng.uniform(0.1, 3.3, count)], 1)
    true = rng.normal(0, 1, (count, 7)) * (seen[:, 1:] + 0.3)
    labels = (softmax(true, axis=1).cumsum(1) > rng.random((count, 1))).argmax(1)
    logits = true * (48 / seen[:, :1]) ** 0.5
    logits[:, 4] += 3 - seen[:, 1]
    return logits, seen, labels


def table_of(own: Conditions, logits: np.ndarray, seen: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    probabilities = softmax(own.corrected(logits, seen), axis=1)
    return pd.DataFrame(
        {"readability": own.readable(seen), "confidence": probabilities.max(1), "correct": probabilities.argmax(1) == labels}
    )


def test_what_size_and_detail_do_is_undone() -> None:
    logits, seen, labels = planted()
    table = table_of(fit(logits, seen, labels), logits, seen, labels)
    raw = softmax(logits, axis=1)
    for own in (seen[:, 0] == 8, seen[:, 0] == 48, seen[:, 1] < 0.5, seen[:, 1] > 3):
        assert calibration_error(table["confidence"][own].to_numpy(), table["correct"][own].to_numpy()) < 0.06
    tiny = seen[:, 0] == 8
    assert calibration_error(raw[tiny].max(1), raw[tiny].argmax(1) == labels[tiny]) > 0.1
    low = seen[:, 1] < 0.5
    assert (raw[low].argmax(1) == 4).mean() > 3 * (labels[low] == 4).mean()


def test_answers_are_as_often_right_at_every_readability_and_none_are_where_they_cannot_be() -> None:
    logits, seen, labels = planted()
    own = fit(logits, seen, labels)
    assert (own.thresholds(seen) == NONE).all(), "none are given before they are chosen"
    table = table_of(own, logits, seen, labels)
    readability, threshold = choose(table, 0.8, 0.3)
    sure = table[table["confidence"] >= interpolated(table["readability"], readability, threshold)]
    assert 0.1 < len(sure) / len(table) < 0.9
    # Thresholds are chosen for groups, and are lines between them.
    for _, group in sure.groupby(pd.qcut(sure["readability"], 4)):
        assert group["correct"].mean() > 0.77
    assert sure["readability"].min() >= readability[0] > table["readability"].min()
    assert list(readability) == sorted(readability)
    assert list(threshold) == sorted(threshold, reverse=True)
    assert threshold[-1] >= 0.3
    # What is never right gets no answer.
    assert choose(table.assign(correct=False), 0.8, 0.3) == ((1.0,), (NONE,))


def test_detail_falls_with_blur_and_shrinking_keeps_it_and_contrast_does_not_matter() -> None:
    values = [detail(cv2.GaussianBlur(FACE, (0, 0), sigma)) for sigma in (0.1, 3, 6, 12)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 4 * values[2]
    assert detail(shrunk(16)) > values[1]
    faint = (FACE.astype(float) / 3 + 80).astype(np.uint8)
    assert detail(faint) == pytest.approx(values[0], abs=0.3)
    assert detail(FACE[..., 0]) == pytest.approx(values[0], abs=0.3)
    assert detail(np.full((20, 30), 128, np.uint8)) == 0


@settings(deadline=None, max_examples=50)
@given(arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60))))
def test_any_face_has_measures_and_a_threshold(face: np.ndarray) -> None:
    seen = measures([face, face[..., None].repeat(3, 2)])
    assert seen.shape == (2, 2)
    assert (seen[:, 0] == max(face.shape)).all()
    assert np.isfinite(seen).all()
    assert np.abs(conditions.terms(seen)).max() <= 1.2


def test_no_faces_have_no_measures() -> None:
    assert measures([]).shape == (0, 2)


def test_polynomials_of_degree_2_of_older_weights_are_those_of_degree_3_without_cubes() -> None:
    rng = np.random.default_rng(0)
    seen, logits = np.stack([rng.uniform(8, 60, 40), rng.uniform(0, 4, 40)], 1), rng.normal(size=(40, 3))
    scale, bias, accuracy = rng.normal(size=(3, 6)), rng.normal(size=(3, 6)), rng.normal(size=6)
    old, new = (
        Conditions(
            scale=tuple(map(tuple, np.pad(scale, ((0, 0), (0, cubes))).tolist())),
            bias=tuple(map(tuple, np.pad(bias, ((0, 0), (0, cubes))).tolist())),
            accuracy=tuple(np.pad(accuracy, (0, cubes)).tolist()),
        )
        for cubes in (0, 4)
    )
    np.testing.assert_allclose(old.corrected(logits, seen), new.corrected(logits, seen))
    np.testing.assert_allclose(old.readable(seen), new.readable(seen))
