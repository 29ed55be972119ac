"""The generation tab's images: those of the network, at the places of the sliders."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from apps.tabs import generation
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.learning.tensors import to_bytes
from tasks.profile import Profile
from tests.tasks.kinds.generate.conftest import SMALL, make

__all__ = ["make"]


@pytest.fixture
def profile(make: Callable[..., Profile]) -> Profile:
    """A profile whose generators have weights of fresh numbers."""
    made = make(asked={"architecture": {**SMALL, "conditional": True}}, codes={"network": "vq_vae", "architecture": {"codes": 4}})
    for name in ("asked", "codes"):
        configuration = describe(made, name, data.info(made.processed("discs")), 0)
        weights.save(made.weights(name), configuration.build(), configuration)
    return made


def test_sliders_are_the_numbers_that_the_image_is_made_of(profile: Profile) -> None:
    choice = generation.choices(profile)["asked"]
    network, _ = choice.load()
    shown = generation.image(choice, 3, "large", [0.5, -1.0])
    with torch.inference_mode():
        expected = network.decode(torch.tensor([[0.5, -1.0]]), torch.tensor([2]))  # type: ignore[operator]
    assert np.array_equal(shown, to_bytes(expected)[0])
    drawn = generation.noise(network, 3)[0].tolist()
    assert np.array_equal(generation.image(choice, 3, "large", drawn), generation.image(choice, 3, "large", []))


def test_a_grid_is_of_the_class_asked_for_or_of_each_in_its_turn(profile: Profile) -> None:
    choice = generation.choices(profile)["asked"]
    assert generation.grid(choice, 0, generation.ANY).shape == (64, 64, 1)
    assert not np.array_equal(generation.grid(choice, 0, "small"), generation.grid(choice, 0, "large"))
    with pytest.raises(Error, match="unknown class"):
        generation.grid(choice, 0, "huge")


def test_a_network_without_latent_numbers_has_images_all_the_same(profile: Profile) -> None:
    choice = generation.choices(profile)["codes"]
    first, other = (generation.image(choice, seed, generation.ANY, []) for seed in (0, 1))
    assert first.shape == (16, 16, 1)
    assert not np.array_equal(first, other)


def test_pixels_are_made_large_enough_to_be_seen() -> None:
    assert generation.large(np.zeros((28, 28, 1), np.uint8)).shape == (336, 336, 3)
