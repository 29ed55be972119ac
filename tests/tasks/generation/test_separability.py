import numpy as np
import pytest

from tasks.generation import separability


def test_what_a_line_tells_is_separable_and_what_it_cannot_is_not():
    random = np.random.default_rng(0)
    codes = random.normal(size=(2000, 4))
    # An attribute that is the sign of a number, and one that is the sign of a product, which no line tells.
    straight = {"straight": 1 / (1 + np.exp(-5 * codes[:, 0]))}
    bent = {"bent": 1 / (1 + np.exp(-5 * codes[:, 0] * codes[:, 1]))}
    told, untold = (separability.score({"w": codes}, one)["w"] for one in (straight, bent))
    assert told == pytest.approx(1, abs=0.1)
    assert untold == pytest.approx(np.e, abs=0.1)
    assert separability.score({"w": codes}, straight | bent)["w"] == pytest.approx(told * untold, rel=1e-6)


def test_an_attribute_that_all_have_leaves_nothing_unknown():
    codes = np.random.default_rng(0).normal(size=(20, 2))
    assert separability.score({"z": codes, "w": codes}, {"all": np.full(20, 0.9)}) == {"z": 1.0, "w": 1.0}


def test_entropy_is_what_the_known_half_leaves_unknown():
    known, labels = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert separability.conditional_entropy(known, labels) == pytest.approx(0.5)
    assert separability.conditional_entropy(labels, labels) == 0


def test_a_sorter_tells_bright_images_from_dark_ones():
    import torch

    random = torch.Generator().manual_seed(0)
    bright = torch.arange(40) % 2
    images = (torch.rand(40, 3, 32, 32, generator=random) + bright[:, None, None, None]) / 2
    seen = separability.activations(images)
    found = separability.sorter(seen[:30], bright[:30].numpy(), seen[30:], bright[30:].numpy())
    assert found.right == 1
    assert ((found.probabilities(seen[30:]) > 0.5) == bright[30:].numpy().astype(bool)).all()
