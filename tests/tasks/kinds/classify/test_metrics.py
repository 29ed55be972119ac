import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_calibration_error

from tasks.common.errors import Error
from tasks.kinds.classify import metrics


@st.composite
def predictions(draw):
    """Logits of any calibration, and labels."""
    images, classes = draw(st.integers(1, 200)), draw(st.integers(2, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(0, draw(st.sampled_from([0.1, 1.0, 5.0])), (images, classes)).astype(np.float32)
    return logits, random.integers(0, classes, images)


@settings(deadline=None)
@given(predictions())
def test_classes_agree_with_scikit_learn(predicted):
    logits, labels = predicted
    classes = [str(i) for i in range(logits.shape[1])]
    found = logits.argmax(1)
    assert metrics.classify(logits, labels)["macro_f1"] == pytest.approx(f1_score(labels, found, average="macro"))
    reference = precision_recall_fscore_support(labels, found, labels=range(len(classes)), zero_division=0)
    assert_allclose(metrics.per_class(found, labels, classes).drop(columns="class").to_numpy().T, reference)
    assert (metrics.confusion(found, labels, classes) == confusion_matrix(labels, found, labels=range(len(classes)))).all(
        axis=None
    )


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_classes_agree_with_references(drawn):
    logits, labels = drawn
    values = metrics.classify(logits, labels)
    probabilities = torch.from_numpy(logits).double().softmax(1)
    # The reference takes what is less than the last bit of 1 for that.
    assume(float(probabilities.min()) > np.finfo(np.float64).eps)
    assert values["log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(logits.shape[1])))
    # The reference rounds to float32: where that puts a confidence into another bin (of 1, one of its own), they differ by right.
    confidence = probabilities.amax(1)
    bins = (torch.bucketize(c, torch.linspace(0, 1, 16, dtype=c.dtype), right=True) for c in (confidence, confidence.float()))
    assume(torch.equal(*bins))
    reference = multiclass_calibration_error(probabilities, torch.from_numpy(labels), logits.shape[1], n_bins=15)
    assert values["ece"] == pytest.approx(float(reference), abs=1e-6)


def test_classes_by_hand():
    # Softmax of (log 3, 0) is (3/4, 1/4): three predictions of class 0 at 3/4, two of them right.
    logits = np.log([[3, 1], [3, 1], [3, 1], [1, 3]])
    values = metrics.classify(logits, np.array([0, 0, 1, 1]))
    assert values["accuracy"] == 0.75
    assert values["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert values["log_loss"] == pytest.approx(-(3 * np.log(3 / 4) + np.log(1 / 4)) / 4)
    assert values["ece"] == pytest.approx(0, abs=1e-12)


def test_certainty_stays_finite_and_belongs_to_the_last_bin():
    values = metrics.classify(np.array([[1e4, 0], [1e4, 0]]), np.array([0, 1]))
    assert values == {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3), "log_loss": pytest.approx(5e3), "ece": 0.5}
    assert metrics.calibration_error(np.array([1.0, 0.95]), np.array([False, True])) == pytest.approx(0.475)


@given(arrays.arrays(np.float32, (4, 3), elements=st.floats(-50, 50, width=32)), st.floats(-100, 100))
def test_classes_depend_on_differences_of_logits_only(logits, shift):
    labels = np.array([0, 1, 2, 0])
    ordered = np.sort(logits, 1)
    assume((ordered[:, -1] - ordered[:, -2] > 1e-3).all())
    shifted = metrics.classify(logits.astype(np.float64) + shift, labels)
    assert shifted == pytest.approx(metrics.classify(logits, labels), abs=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_an_error_with_advice(value):
    with pytest.raises(Error, match="learning rate"):
        metrics.classify(np.array([[value, 0.0]]), np.array([0]))


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (np.zeros((2, 3)), np.zeros(3, int), "N of 1"),
        (np.zeros((0, 3)), np.zeros(0, int), "N of 1"),
        (np.zeros((1, 3)), np.array([3]), "3 classes"),
        (np.zeros((1, 3)), np.array([-1]), "3 classes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(logits, labels, words):
    with pytest.raises(ValueError, match=words):
        metrics.classify(logits, labels)


def test_per_class_and_confusion_by_hand():
    predicted, labels = np.array([0, 0, 1, 1, 0]), np.array([0, 1, 1, 1, 0])
    table = metrics.per_class(predicted, labels, ("cat", "dog", "emu"))
    assert list(table.columns) == ["class", "precision", "recall", "f1", "support"]
    assert list(table["class"]) == ["cat", "dog", "emu"]
    assert_allclose(table[["precision", "recall", "f1", "support"]], [[2 / 3, 1, 0.8, 2], [1, 2 / 3, 0.8, 3], [0, 0, 0, 0]])
    counts = metrics.confusion(predicted, labels, ("cat", "dog", "emu"))
    assert counts.to_numpy().tolist() == [[2, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert counts.loc["dog", "cat"] == 1
