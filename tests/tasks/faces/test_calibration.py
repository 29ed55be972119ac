import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from tasks.faces.calibration import accuracy_by_coverage, bins, fit_temperature, floor_of, threshold_for
from tasks.kinds.classify.metrics import calibration_error


def drawn(temperature: float, count: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sure by a factor, and labels that are drawn with the true probabilities."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1.5, (count, 7))
    labels = (softmax(true, axis=1).cumsum(1) > rng.random((count, 1))).argmax(1)
    return true * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_planted_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_the_fitted_temperature_lowers_the_calibration_error_and_changes_no_answer() -> None:
    logits, labels = drawn(3.0)
    correct = logits.argmax(1) == labels
    before, after = (softmax(logits / t, axis=1).max(1) for t in (1.0, fit_temperature(logits, labels)))
    assert calibration_error(before, correct) > 0.1
    assert calibration_error(after, correct) < 0.015


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.01, 1))
def test_the_threshold_leaves_its_coverage_and_no_higher_one_does(confidence: list[float], coverage: float) -> None:
    values = np.array(confidence)
    threshold = threshold_for(values, coverage)
    assert (values >= threshold).mean() >= coverage
    assert threshold in values
    assert (values > threshold).mean() < coverage


def test_accuracy_by_coverage_counts_the_surest_first() -> None:
    confidence, correct = np.array([0.9, 0.1, 0.8, 0.3]), np.array([True, False, True, False])
    assert accuracy_by_coverage(confidence, correct, np.array([0.25, 0.5, 0.75, 1.0])).tolist() == [1.0, 1.0, 2 / 3, 0.5]


def test_a_floor_is_where_accuracy_is_reached() -> None:
    rng = np.random.default_rng(0)
    measure = rng.uniform(0, 100, 5000)
    correct = rng.random(5000) < np.where(measure < 40, 0.4, 0.8)
    assert floor_of(measure, correct, 0.7) == pytest.approx(40, abs=3)
    assert floor_of(measure, correct, 0.1) < 1
    assert floor_of(measure, np.zeros(5000, bool), 0.5) == measure.max()


def test_bins_hold_what_the_calibration_error_is_made_of() -> None:
    logits, labels = drawn(2.0, 2000)
    confidence = softmax(logits, axis=1).max(1)
    table = bins(confidence, logits.argmax(1) == labels)
    error = ((table["confidence"] - table["accuracy"]).abs() * table["count"]).sum() / table["count"].sum()
    assert error == pytest.approx(calibration_error(confidence, logits.argmax(1) == labels))
