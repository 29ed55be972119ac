"""Flows in the z of an autoencoder: their likelihoods are exact, they follow what is said, and leave the autoencoder alone."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import models
from models import Shape
from models.generator import CLASSES
from models.latent_flow import LatentFlow, Matching, Normalising, Words

AUTOENCODER = {"latent": 5, "widths": [8, 8]}


def built(flow: str, classes: int = 10, **arguments: Any) -> Any:
    shape = Shape(1, 1, 16, {CLASSES: classes} if classes else {})
    network = models.build("latent_flow", shape, {"autoencoder": AUTOENCODER, "flow": flow, "width": 16, **arguments}).eval()
    # As training leaves them: the last layers begin near zero, where a flow does nothing.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter))))
    return network


def test_the_likelihood_is_the_one_of_a_numerical_jacobian() -> None:
    network: Normalising = built("normalising", blocks=4).double()
    noise, said = torch.randn(3, 5, dtype=torch.float64), network.said(3, torch.tensor([1, 7, 7]))
    with torch.no_grad():
        z, determinants = network.towards_z(noise, said)
        step = 1e-6
        for row in range(3):
            columns = []
            for number in range(5):
                moved = noise[row : row + 1].repeat(2, 1)
                moved[0, number] += step
                moved[1, number] -= step
                up, down = network.towards_z(moved, said[row : row + 1].expand(2, -1))[0]
                columns.append((up - down) / (2 * step))
            numerical = torch.stack(columns, 1).det().abs().log()
            assert determinants[row].item() == pytest.approx(numerical.item(), abs=1e-4)
        normal = -(noise.square().sum(1) + 5 * math.log(2 * math.pi)) / 2
        assert torch.allclose(network.log_density(z, said), normal - determinants, atol=1e-6)


def test_a_normalising_flow_is_undone() -> None:
    network = built("normalising", blocks=6).double()
    noise, said = torch.randn(20, 5, dtype=torch.float64), network.said(20, torch.arange(20) % 10)
    with torch.no_grad():
        z, there = network.towards_z(noise, said)
        back, again = network.towards_noise(z, said)
    assert torch.allclose(back, noise, atol=1e-6)
    assert torch.allclose(there, -again, atol=1e-6)


@pytest.mark.parametrize("flow", ["matching", "normalising"])
def test_what_is_said_changes_what_is_made_and_the_autoencoder_stays(flow: str) -> None:
    network = built(flow)
    before = {name: value.clone() for name, value in network.autoencoder.state_dict().items()}
    noise = torch.randn(1, 5)
    with torch.no_grad():
        three, seven = (network.decode(noise, torch.tensor([label])) for label in (3, 7))
    assert not torch.allclose(three, seven, atol=1e-4)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad])

    def update(loss: Tensor) -> None:
        loss.backward()
        optimizer.step()

    network.train().training_step(torch.rand(8, 1, 16, 16), torch.arange(8), {"network": update})
    assert all(torch.equal(value, before[name]) for name, value in network.autoencoder.state_dict().items())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.requires_grad)


def test_without_guidance_the_velocity_is_that_of_the_words() -> None:
    network: Matching = built("matching", guidance=1.0)
    x, said = torch.randn(4, 5), network.said(4, torch.arange(4))
    with torch.no_grad():
        alone = network.velocity(x, torch.full((4,), 0.5), said)
        assert torch.equal(network._guided(x, 0.5, said), alone)
        network.guidance = 0.0
        assert not torch.allclose(network._guided(x, 0.5, said), alone, atol=1e-4)


def test_the_path_of_a_constant_velocity_is_followed_to_its_end() -> None:
    network: Matching = built("matching", guidance=1.0)
    there = torch.tensor([1.0, -2, 0, 3, 0.5])
    network.velocity.forward = lambda x, time, said: there.expand_as(x)  # type: ignore[method-assign]
    noise = torch.randn(2, 5)
    assert torch.allclose(network.flow(noise, network.said(2, None)), noise + there, atol=1e-5)


def test_words_add_up_so_that_combinations_that_were_not_heard_are_understood() -> None:
    heard = Words(100, 8)(torch.tensor([35, 37, 65, 67]))
    assert torch.allclose(heard[0] - heard[1], heard[2] - heard[3], atol=1e-5)
    assert not torch.allclose(Words(100, 8)(torch.tensor([37])), Words(100, 8)(torch.tensor([73])), atol=1e-3)


def test_images_without_classes_and_with_others_than_digits_flow_too() -> None:
    for classes in (0, 3):
        network: LatentFlow = built("matching", classes)
        assert network.decode(torch.randn(2, 5)).shape == (2, 1, 16, 16)


def test_an_autoencoder_of_another_architecture_is_refused() -> None:
    network = built("matching")
    network.begin_at(models.build("vae", Shape(1, 1, 16), AUTOENCODER))
    with pytest.raises(ValueError, match=r"architecture\.autoencoder: not the architecture"):
        network.begin_at(models.build("vae", Shape(1, 1, 16), {"latent": 6, "widths": [8, 8]}))
    with pytest.raises(ValueError, match="take one without classes"):
        models.build("latent_flow", Shape(1, 1, 16, {CLASSES: 10}), {"autoencoder": {**AUTOENCODER, "conditional": True}})


def pairs(**arguments: Any) -> Any:
    shape = Shape(1, 1, 16, {CLASSES: 100})
    architecture = {"coder": "pair_vae", "autoencoder": {"latent": 8, "widths": [8, 8]}, "width": 16, **arguments}
    network = models.build("latent_flow", shape, architecture).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter))))
    return network


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_each_half_of_a_pair_is_moved_for_itself(guidance: float) -> None:
    """What is drawn on the left depends on the noise of the left alone, so that combinations need not have been seen."""
    network = pairs(guidance=guidance)
    noise, classes = torch.randn(3, 8), torch.tensor([0, 37, 99])
    other = torch.cat([noise[:, :4], torch.randn(3, 4)], 1)
    with torch.no_grad():
        one, two = (network.decode(given, classes) for given in (noise, other))
    torch.testing.assert_close(one[..., :8], two[..., :8])
    assert not torch.allclose(one[..., 8:], two[..., 8:])


def test_one_network_moves_both_halves() -> None:
    network = pairs(guidance=1.0)
    noise, said = torch.randn(3, 8), network.said(3, torch.tensor([0, 37, 99]))
    with torch.no_grad():
        found = network.flow(noise, said).view(3, 2, 4)
        swapped = network.flow(noise.view(3, 2, 4).flip(1).flatten(1), said.view(3, 2, 16).flip(1).flatten(1)).view(3, 2, 4)
    torch.testing.assert_close(swapped, found.flip(1))


def test_each_half_hears_the_sentence_by_attention_over_its_words() -> None:
    network = pairs()
    heard = network.said(100, torch.arange(100)).view(100, 2, 16)
    assert not torch.allclose(heard[:, 0], heard[:, 1])
    assert len(heard.flatten(1).unique(dim=0)) == 100
