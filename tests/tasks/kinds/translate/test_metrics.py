import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tasks.kinds.translate import metrics

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
