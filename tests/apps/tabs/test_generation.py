"""The generation tab's images: those of the network, at the places of the sliders."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from apps import networks
from apps.networks import Choice
from apps.tabs import generation
from apps.tabs.generation import Asked
from tasks import config, kinds
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.learning.tensors import to_bytes
from tasks.profile import Profile
from tests.conftest import ROOT
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
    shown = generation.image(choice, 3, Asked("large"), [0.5, -1.0])
    with torch.inference_mode():
        expected = network.decode(torch.tensor([[0.5, -1.0]]), torch.tensor([2]))  # type: ignore[operator]
    assert np.array_equal(shown, to_bytes(expected)[0])
    drawn = generation.noise(network, 3)[0].tolist()
    assert np.array_equal(generation.image(choice, 3, Asked("large"), drawn), generation.image(choice, 3, Asked("large"), []))


def test_a_grid_is_of_the_class_asked_for_or_of_each_in_its_turn(profile: Profile) -> None:
    choice = generation.choices(profile)["asked"]
    assert generation.grid(choice, 0, Asked()).shape == (64, 64, 1)
    assert not np.array_equal(generation.grid(choice, 0, Asked("small")), generation.grid(choice, 0, Asked("large")))
    with pytest.raises(Error, match="unknown class"):
        generation.grid(choice, 0, Asked("huge"))


def test_a_network_without_latent_numbers_has_images_all_the_same(profile: Profile) -> None:
    choice = generation.choices(profile)["codes"]
    first, other = (generation.image(choice, seed, Asked(), []) for seed in (0, 1))
    assert first.shape == (16, 16, 1)
    assert not np.array_equal(first, other)


@pytest.fixture(scope="module")
def embedded() -> dict[str, Choice]:
    """The generators that git carries."""
    return networks.embedded(config.load(ROOT), generation.KIND)


def test_a_sentence_asks_the_embedded_network_for_its_class(embedded: dict[str, Choice]) -> None:
    choice = embedded["latent-flow-pairs (embedded)"]
    asked, said = Asked("a three and a seven"), Asked(text="a three and a seven")
    assert np.array_equal(generation.grid(choice, 1, said), generation.grid(choice, 1, asked))
    assert not np.array_equal(generation.grid(choice, 1, said), generation.grid(choice, 1, Asked(text="seven, three")))
    assert np.array_equal(generation.image(choice, 1, said, [0.5]), generation.image(choice, 1, asked, [0.5]))
    assert not np.array_equal(generation.image(choice, 1, said, [0.5]), generation.image(choice, 1, Asked(text="7 3"), [0.5]))


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("latent-flow-pairs", Asked(text="a three and a sevn"), "'sevn' is not in the vocabulary; did you mean seven"),
        ("latent-flow-pairs", Asked(text="a one and a two and a three"), "names 3 digits, and the images have 2"),
        ("latent-flow-pairs", Asked("a one and a two", "a one and a two"), "says what a class says too"),
        ("latent-flow-pairs", Asked(truncation=0.5), "truncation: latent_flow has no styles"),
        ("latent-flow-pairs", Asked(mix=1), "mix: latent_flow has no styles"),
        ("stylegan-modulated", Asked(text="a seven"), "stylegan-modulated follows no sentences"),
        ("stylegan-modulated", Asked(mix=10**30), "mix: 1.*, but allowed are 0 to"),
    ],
)
def test_what_cannot_be_asked_for_is_a_sentence(embedded: dict[str, Choice], name: str, asked: Asked, says: str) -> None:
    choice = embedded[f"{name} (embedded)"]
    with pytest.raises(Error, match=says):
        generation.grid(choice, 0, asked)
    with pytest.raises(Error, match=says):
        generation.image(choice, 0, asked, [])


def test_truncation_leads_to_the_mean_of_all_images(embedded: dict[str, Choice]) -> None:
    choice = embedded["stylegan-modulated (embedded)"]
    mean = generation.image(choice, 0, Asked(truncation=0.0), [])
    assert np.array_equal(mean, generation.image(choice, 5, Asked(truncation=0.0), [2.0, -1.0]))
    own = generation.image(choice, 0, Asked(), [])
    half = generation.image(choice, 0, Asked(truncation=0.5), [])
    assert 0 < np.abs(half - mean.astype(float)).mean() < np.abs(own - mean.astype(float)).mean()
    use = kinds.part(generation.KIND, "use")
    made = use.grid(use.make(*choice.load(), generation.SAMPLES, 3, truncation=0.5), generation.COLUMNS)
    assert np.array_equal(generation.grid(choice, 3, Asked(truncation=0.5)), made)


def test_finer_styles_are_those_of_another_draw(embedded: dict[str, Choice]) -> None:
    choice = embedded["stylegan-modulated (embedded)"]
    mixed = generation.grid(choice, 0, Asked(mix=7))
    assert not np.array_equal(mixed, generation.grid(choice, 0, Asked()))
    use = kinds.part(generation.KIND, "use")
    assert np.array_equal(mixed, use.grid(use.make(*choice.load(), generation.SAMPLES, 0, mix=7), generation.COLUMNS))
    large = generation.image(choice, 0, Asked(mix=7), [])
    assert not np.array_equal(large, generation.image(choice, 0, Asked(), []))
    assert not np.array_equal(large, generation.image(choice, 0, Asked(mix=8), []))
    assert np.array_equal(generation.image(choice, 7, Asked(mix=7), []), generation.image(choice, 7, Asked(), []))


def test_pixels_are_made_large_enough_to_be_seen() -> None:
    assert generation.large(np.zeros((28, 28, 1), np.uint8)).shape == (336, 336, 3)
