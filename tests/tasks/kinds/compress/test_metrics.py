import numpy as np
import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from tasks.kinds.compress import metrics

CURVE = [(0.1, 26.0), (0.25, 29.0), (0.5, 32.0), (1.0, 35.5), (2.0, 39.0)]


def picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([127 + 90 * np.sin(x / 11 + c) * np.cos(y / 17) for c in range(3)], 2).clip(0, 255).astype(np.uint8)


def noisy(original: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, original.shape)
    return (original + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.55, 1.0, 1.3])
def test_a_curve_of_a_share_of_the_bits_has_that_rate(factor: float) -> None:
    assert metrics.bd_rate([(factor * bits, quality) for bits, quality in CURVE], CURVE) == pytest.approx(factor - 1, abs=1e-6)


def test_only_the_other_codecs_rates_from_02_to_1_count() -> None:
    """Below 0.2 bits a pixel and above 1.0 of the other, ours may be as bad as it likes."""
    ours = [(0.6 * bits if 0.15 < bits < 1.5 else 3 * bits, quality) for bits, quality in CURVE]
    dense = [
        (b, q)
        for b, q in zip(
            np.geomspace(0.1, 2, 60), np.interp(np.log(np.geomspace(0.1, 2, 60)), *zip(*[(np.log(b), q) for b, q in CURVE]))
        )
    ]
    ours = [(0.6 * b if 0.18 < b < 1.1 else 0.6 * b * (1 + 0.01 * q), q) for b, q in dense]
    assert metrics.bd_rate(ours, dense) == pytest.approx(-0.4, abs=0.01)


def test_curves_without_a_quality_in_common_have_no_rate() -> None:
    assert metrics.bd_rate([(0.1, 50.0), (0.2, 60.0)], CURVE) is None
    assert metrics.bd_rate([], CURVE) is None


def test_points_that_are_no_better_for_more_bits_are_left_out() -> None:
    assert metrics.bd_rate([*CURVE, (0.6, 30.0)], CURVE) == pytest.approx(0, abs=1e-9)


def test_psnr() -> None:
    original = picture(40, 50)
    assert metrics.psnr(original, original) == 100
    assert metrics.psnr(noisy(original, 8), original) == pytest.approx(20 * np.log10(255 / 8), abs=0.3)


@pytest.mark.parametrize("deviation", [3, 12, 40])
def test_ms_ssim_agrees_with_torchmetrics(deviation: float) -> None:
    original = picture(240, 201)
    other = noisy(original, deviation)
    x, y = (torch.from_numpy(i).permute(2, 0, 1)[None].float() for i in (other, original))
    expected = multiscale_structural_similarity_index_measure(x, y, data_range=255.0)
    assert metrics.ms_ssim(other, original) == pytest.approx(expected.item(), abs=0.004)


def test_ms_ssim_of_small_pictures() -> None:
    original = picture(64, 30)
    assert metrics.ms_ssim(original, original) == pytest.approx(1, abs=1e-5)
    assert metrics.ms_ssim(noisy(original, 30), original) < 0.98
    with pytest.raises(ValueError, match="smaller than the window"):
        metrics.ms_ssim(picture(10, 300), picture(10, 300))
