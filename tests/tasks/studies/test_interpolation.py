import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import models
from tasks.common.errors import Error
from tasks.inside import interpolation
from tasks.learning import weights
from tasks.profile import Profile
from tasks.study import study

OPTIONS = {"paths": 4, "steps": 4, "shown": 2}
ARCHITECTURE = {"latent": 8, "width": 4}


def pixels(images: Tensor) -> list[Tensor]:
    """An eye that sees images as they are, so that distances are those of pixels."""
    return [images]


def line(share: Tensor) -> Tensor:
    """Three images on their ways from black to white, red and grey."""
    colours = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0.3, 0.3, 0.3]])
    return (share * colours)[..., None, None].expand(-1, -1, 2, 2)


@pytest.mark.parametrize(("point", "unevenness"), [(line, 1.0), (lambda share: line(share**2), 7 / 4)])
def test_a_straight_way_is_as_long_as_its_ends_are_far_apart(point: Callable[[Tensor], Tensor], unevenness: float) -> None:
    way = interpolation.walked(point, 4, pixels)  # type: ignore[arg-type]
    assert way.detour == pytest.approx(1, abs=1e-6)
    assert way.unevenness == pytest.approx(unevenness, abs=1e-6)
    assert interpolation.steps({"z": way, "w": way})["z"].sum() == pytest.approx(1, abs=1e-6)


def test_a_way_that_turns_is_longer() -> None:
    turned = interpolation.walked(lambda share: line(1 - (2 * share - 1.5).abs() / 1.5), 4, pixels)  # type: ignore[arg-type]
    # Up from nothing to 1 at three quarters of the way, and down to two thirds.
    assert turned.detour == pytest.approx((1 + 1 / 3) / (2 / 3), abs=1e-5)


@pytest.fixture(scope="module")
def generator() -> nn.Module:
    """An untrained generator of faces of 16 px, whose mapping bends as one that has learned."""
    torch.manual_seed(0)
    network = models.build("stylegan", models.Shape(3, 1, 16), ARCHITECTURE).eval()
    network.generator.mapping.load_state_dict({name: 3 * value for name, value in network.generator.mapping.state_dict().items()})
    return network


def test_both_ways_have_the_same_ends_and_other_pictures_between(generator: nn.Module) -> None:
    with torch.inference_mode():
        pictures = interpolation.drawn(generator, generator.noise(4, torch.Generator().manual_seed(0)))  # type: ignore[operator]
    assert list(pictures) == ["1, z", "1, w", "2, z", "2, w"]
    for z, w in ((pictures[f"{pair}, z"].astype(int), pictures[f"{pair}, w"].astype(int)) for pair in (1, 2)):
        assert z.shape == (interpolation.COLUMNS, 16, 16, 3)
        assert np.abs(z[[0, -1]] - w[[0, -1]]).max() <= 1
        assert np.abs(z[4] - w[4]).max() > 1


def _replace(profile: Profile, generator: nn.Module) -> None:
    """Put the generator's weights where those of the experiment stand."""
    configuration = weights.configuration(profile.weights("classes"))
    changed = {
        "task": "generate",
        "network": "stylegan",
        "architecture": ARCHITECTURE,
        "outputs": 1,
        "classes": (),
        "mean": None,
        "std": None,
    }
    weights.save(profile.weights("classes"), generator, configuration.model_copy(update=changed))


def test_the_study_measures_a_generator_with_styles(make_study: Callable[..., Profile], generator: nn.Module) -> None:
    profile = make_study(study="interpolation", options=OPTIONS)
    _replace(profile, generator)
    metrics = study(profile, "looked")["metrics"]
    assert set(metrics) == {"detour_z", "detour_w", "unevenness_z", "unevenness_w"}
    assert all(value >= 1 for value in metrics.values())
    table = pd.read_csv(profile.results("looked") / "tables" / "steps.csv")
    assert table["step"].tolist() == [1, 2, 3, 4]
    assert table["w"].sum() == pytest.approx(metrics["detour_w"], abs=1e-3)
    assert {path.name for path in (profile.results("looked") / "plots").iterdir()} == {"ways.png", "steps.png"}


def test_a_generator_that_collapsed_is_named(make_study: Callable[..., Profile], generator: nn.Module) -> None:
    collapsed = copy.deepcopy(generator)
    for parameter in collapsed.generator.synthesis.colour.parameters():  # type: ignore[union-attr]
        nn.init.zeros_(parameter)
    profile = make_study(study="interpolation", options=OPTIONS)
    _replace(profile, collapsed)
    with pytest.raises(Error, match="are one picture"):
        study(profile, "looked")


@pytest.mark.parametrize(("network", "words"), [("classes", "no styles to walk through"), ("none", "names no network")])
def test_a_network_without_styles_is_refused(make_study: Callable[..., Profile], network: str, words: str) -> None:
    with pytest.raises(Error, match=words):
        study(make_study(study="interpolation", options=OPTIONS, network=network), "looked")
