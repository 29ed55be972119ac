import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from apps import filtering
from apps.tabs import image_to_image
from tasks import config
from tasks.kinds.translate import Target, filters, metrics
from tasks.profile import Profile
from tests.apps.conftest import untrained_profile


@settings(max_examples=20, deadline=None)
@given(height=st.integers(11, 300), width=st.integers(11, 300), seed=st.integers(0, 99))
def test_numbers_in_tiles_are_those_of_the_whole_picture(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 256, (height, width, 1), np.uint8)
    output = np.clip(target + rng.normal(0, 1 + seed, target.shape), 0, 255).astype(np.uint8)
    expected = metrics.translate(output[None], target[None])
    assert filtering.measure(output, target) == pytest.approx(expected, rel=1e-9)


def test_equal_pictures_have_the_best_numbers() -> None:
    picture = np.zeros((20, 200, 1), np.uint8)
    assert filtering.measure(picture, picture) == {"psnr": 100.0, "ssim": pytest.approx(1), "l1": 0.0}


def test_the_filter_is_what_the_network_learned(tmp_path: Path, trained: Profile) -> None:
    profile = untrained_profile(tmp_path)
    shutil.copytree(trained.results("pairs"), profile.results("pairs"))
    target = {"filter": "random", "scale": "per-image", "seed": 7}
    changed = config.load(profile.folder, {"preprocess": {"tiny-pairs": {"target": target}}})
    learned = image_to_image.learned(changed, image_to_image.choices(changed)["pairs"])
    assert learned == Target(filter="random", scale="per-image", seed=7)
    assert filtering.filter_label(learned) == "Random 3x3, scaled per image"


def test_both_ways_keep_the_size(trained: Profile) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    target = Target(scale="per-image")
    result = filtering.apply(image_to_image.choices(trained)["pairs"], photograph, target)
    assert result.output.shape == result.target.shape == (37, 53, 1)
    assert np.array_equal(result.target, filters.target(photograph, target))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(result.png()))), result.output[..., 0])
    gap = np.abs(result.output.astype(int) - result.target)[..., 0]
    light = result.difference.astype(int).sum(axis=2)
    assert light[gap == gap.max()].min() > light[gap == 0].max(initial=0)
