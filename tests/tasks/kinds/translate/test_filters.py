import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import filters as skfilters

from tasks.kinds.translate import Target, filters


def reference(image: np.ndarray, spec: Target) -> np.ndarray:
    """scikit-image and scipy in float64, one image (H, W, C) at a time, not rounded."""
    grey = image[..., 0].astype(float)
    if image.shape[-1] == 3:
        grey = image.astype(float) @ [0.299, 0.587, 0.114]
    blurred = skfilters.gaussian(grey, sigma=1.3, mode="reflect", preserve_range=True)
    if spec.filter == "sobel":
        # scikit-image's Sobel is normalised by 4.
        along = [skfilters.sobel(blurred, axis=axis, mode="reflect") for axis in (0, 1)]
        magnitude = 0.5 * 4 * np.hypot(*along)
    else:
        magnitude = np.abs(ndimage.correlate(blurred, filters.random_kernel(spec.seed).astype(float), mode="reflect"))
    if spec.scale == "per-image":
        span = np.ptp(magnitude) * (2 if spec.filter == "sobel" else 1)
        magnitude = np.zeros_like(magnitude) if span < 0.5 else (magnitude - magnitude.min()) / np.ptp(magnitude) * 255
    return np.clip(magnitude, 0, 255)


@pytest.mark.parametrize(
    "spec", [Target(filter=f, scale=s, seed=3) for f in ("sobel", "random") for s in ("fixed", "per-image")], ids=str
)
@settings(max_examples=40, deadline=None)
@given(
    images=st.tuples(st.integers(1, 19), st.integers(1, 33), st.integers(1, 33), st.sampled_from([1, 3])).flatmap(
        lambda shape: hnp.arrays(np.uint8, shape)
    )
)
def test_agrees_with_scikit_image_to_one_grey_level(spec, images):
    targets = filters.target(images, spec)
    assert targets.shape == (*images.shape[:3], 1)
    assert targets.dtype == np.uint8
    for image, target in zip(images, targets, strict=True):
        assert np.abs(target[..., 0] - reference(image, spec)).max() <= 1


def test_agrees_on_noise_and_on_steps_of_the_full_range():
    images = np.random.default_rng(0).integers(0, 256, (5, 40, 50, 3), dtype=np.uint8)
    images[0, :, :25], images[0, :, 25:] = 0, 255
    for spec in (Target(), Target(scale="per-image"), Target(filter="random")):
        targets = filters.target(images, spec)
        assert max(np.abs(t[..., 0] - reference(i, spec)).max() for i, t in zip(images, targets, strict=True)) <= 1
    assert filters.target(images, Target())[0].max() == 255


def test_grey_takes_true_rgb_order():
    """A step into blue is a ninth of a step into white, and a step into red 2.6 times that."""
    image = np.zeros((3, 20, 20, 3), np.uint8)
    for i, channel in enumerate((0, 1, 2)):
        image[i, :, 10:, channel] = 255
    red, green, blue = filters.target(image, Target()).max(axis=(1, 2, 3)).astype(float)
    assert red / blue == pytest.approx(0.299 / 0.114, rel=0.05)
    assert green / blue == pytest.approx(0.587 / 0.114, rel=0.05)


def test_flat_images_are_black_at_any_scale():
    flat = np.full((2, 16, 16, 3), 200, np.uint8)
    assert not filters.target(flat, Target()).any()
    assert not filters.target(flat, Target(scale="per-image")).any()


def test_per_image_fills_the_range():
    images = np.random.default_rng(1).integers(90, 110, (4, 32, 32, 3), dtype=np.uint8)
    targets = filters.target(images, Target(scale="per-image"))
    assert (targets.min(axis=(1, 2, 3)) == 0).all()
    assert (targets.max(axis=(1, 2, 3)) == 255).all()


def test_one_image_is_the_same_as_in_a_batch():
    images = np.random.default_rng(2).integers(0, 256, (40, 24, 31, 3), dtype=np.uint8)
    targets = filters.target(images, Target())
    assert np.array_equal(filters.target(images[37], Target()), targets[37])
    assert filters.target(images[:0], Target()).shape == (0, 24, 31, 1)


def test_random_filters_differ_by_seed_and_keep_the_brightness():
    assert not np.allclose(filters.random_kernel(0), filters.random_kernel(1))
    assert np.array_equal(filters.random_kernel(5), filters.random_kernel(5))
    grey = np.full((1, 16, 16, 1), 100, np.uint8)
    assert (filters.target(grey, Target(filter="random", seed=7)) == 100).all()


@pytest.mark.parametrize("images", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8)])
def test_other_shapes_and_types_are_refused(images):
    with pytest.raises(ValueError, match="uint8"):
        filters.target(images, Target())
