"""The embedded SqueezeNet names what stands on the photographs that packages carry."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

import models
from models import Shape
from tasks.imaging.images import center_square
from tasks.learning import weights
from tasks.learning.tensors import predict

PATH = Path(models.__path__[0]) / "weights" / "squeezenet.safetensors"


@pytest.mark.parametrize(
    ("photograph", "expected", "first"),
    [
        ("chelsea", {"Egyptian cat"}, True),
        ("coffee", {"espresso"}, True),
        ("rocket", {"pole", "crane", "missile", "projectile"}, False),
    ],
)
def test_photographs_are_what_they_are(photograph: str, expected: set[str], first: bool) -> None:
    network, configuration = weights.load(weights.verified(PATH))
    pixels = center_square(getattr(skimage.data, photograph)(), 224)
    logits = predict(network, pixels[None], precision="fp32")[0]
    five = [configuration.classes[i] for i in np.argsort(-logits)[:5]]
    assert (five[0] in expected) if first else (expected & {*five}), five


def test_the_card_tells_where_the_weights_are_from_and_their_scale() -> None:
    card = json.loads(PATH.with_suffix(".json").read_bytes())
    assert card["origin"]["file_sha256"].startswith("f286bbf4")
    assert "0 to 255" in card["scale"]
    assert "BSD-2" in card["licence"]["weights"]
    assert len({*weights.configuration(PATH).classes}) == 1000
    assert PATH.stat().st_size < 3 << 20


def test_grey_images_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"3 channels.*such as cnn"):
        models.build("squeezenet", Shape(1, 10, 32), {})


def test_no_activation_is_overwritten() -> None:
    network = models.build("squeezenet", Shape(3, 10, 64), {})
    assert not any(m.inplace for m in network.modules() if isinstance(m, torch.nn.ReLU))
