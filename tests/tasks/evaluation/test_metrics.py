import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_calibration_error

from tasks.common.errors import Error
from tasks.evaluation import metrics

SIDES = st.integers(11, 40)


@st.composite
def pairs(draw):
    """Two batches of one shape: the second is the first, changed from not at all to beyond recognition."""
    shape = (draw(st.integers(1, 3)), draw(SIDES), draw(SIDES), draw(st.sampled_from([1, 3])))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = sorted((draw(st.integers(0, 255)), draw(st.integers(0, 255))))
    first = random.integers(low, high, shape, endpoint=True)
    noise = random.normal(draw(st.integers(-255, 255)), draw(st.sampled_from([0, 1, 30, 200])), shape)
    return first.astype(np.uint8), np.clip(first + noise, 0, 255).astype(np.uint8)


@st.composite
def predictions(draw):
    """Logits of any calibration, and labels."""
    images, classes = draw(st.integers(1, 200)), draw(st.integers(2, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(0, draw(st.sampled_from([0.1, 1.0, 5.0])), (images, classes)).astype(np.float32)
    return logits, random.integers(0, classes, images)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_images_agree_with_scikit_image(pair):
    outputs, targets = pair
    table = metrics.per_image(outputs, targets)
    for row, output, target in zip(table.itertuples(), outputs, targets):
        reference = structural_similarity(
            output, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
        )
        assert row.ssim == pytest.approx(reference, abs=1e-9)
        equal = np.array_equal(output, target)
        assert row.psnr == pytest.approx(100 if equal else peak_signal_noise_ratio(target, output, data_range=255))
        assert row.l1 == pytest.approx(np.abs(output / 255 - target / 255).mean(), abs=1e-12)


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


def test_images_by_hand():
    black, white = np.zeros((1, 16, 16, 1), np.uint8), np.full((1, 16, 16, 1), 255, np.uint8)
    assert metrics.translate(black, black) == {"psnr": 100, "ssim": pytest.approx(1), "l1": 0}
    # Of two constant images only the term of the means is left: C1 / (255^2 + C1), with C1 = (0.01 * 255)^2.
    assert metrics.translate(black, white) == {"psnr": 0, "ssim": pytest.approx(0.0001 / 1.0001), "l1": 1}
    one_level = metrics.translate(black, black + np.uint8(1))
    assert one_level["psnr"] == pytest.approx(20 * np.log10(255))
    assert one_level["l1"] == pytest.approx(1 / 255)


def test_images_means_are_over_images_across_batches():
    random = np.random.default_rng(0)
    targets = random.integers(0, 256, (metrics.SSIM_BATCH + 3, 12, 12, 1), np.uint8)
    outputs = targets.copy()
    outputs[-1] = 255 - outputs[-1]
    table = metrics.per_image(outputs, targets)
    assert list(table.index) == list(range(len(targets)))
    assert (table.psnr[:-1] == 100).all()
    last = metrics.translate(outputs[-1:], targets[-1:])
    for name, value in metrics.translate(outputs, targets).items():
        perfect = {"psnr": 100, "ssim": 1, "l1": 0}[name]
        assert value == pytest.approx((perfect * (len(targets) - 1) + last[name]) / len(targets))


@pytest.mark.parametrize(
    ("outputs", "targets", "words"),
    [
        (np.zeros((1, 16, 16, 1), np.float32), np.zeros((1, 16, 16, 1), np.uint8), "uint8"),
        (np.zeros((1, 16, 16, 1), np.uint8), np.zeros((1, 16, 16, 3), np.uint8), "N, H, W, C"),
        (np.zeros((0, 16, 16, 1), np.uint8), np.zeros((0, 16, 16, 1), np.uint8), "N, H, W, C"),
        (np.zeros((1, 10, 16, 1), np.uint8), np.zeros((1, 10, 16, 1), np.uint8), "11 pixels"),
    ],
)
def test_images_that_do_not_fit_are_refused(outputs, targets, words):
    with pytest.raises(ValueError, match=words):
        metrics.per_image(outputs, targets)


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_classes_agree_with_references(drawn):
    logits, labels = drawn
    values = metrics.classify(logits, labels)
    probabilities = torch.from_numpy(logits).double().softmax(1)
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
