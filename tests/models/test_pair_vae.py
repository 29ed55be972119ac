"""An autoencoder that sees both halves of a pair as one digit each."""

import pytest
import torch

import models
from models import Shape
from models.pair_vae import PairVAE


def built() -> PairVAE:
    network = models.build("pair_vae", Shape(1, 1, 16), {"latent": 6, "widths": [8, 8]}).eval()
    assert isinstance(network, PairVAE)
    return network


def pairs() -> torch.Tensor:
    images = torch.zeros(3, 1, 16, 16)
    images[:, :, 4:12] = (torch.rand(3, 1, 8, 16) < 0.5).float()
    return images


def test_halves_that_change_places_change_the_places_of_their_codes() -> None:
    network, images = built(), pairs()
    swapped = torch.cat([images[..., 8:], images[..., :8]], 3)
    with torch.no_grad():
        (means, _), (other, _) = network.encode(images), network.encode(swapped)
        assert torch.allclose(means, torch.cat([other[:, 3:], other[:, :3]], 1), atol=1e-6)
        decoded = network.decode(means)
    assert torch.allclose(decoded[..., 8:], network.decode(other)[..., :8], atol=1e-6)
    assert decoded.shape == images.shape
    assert not decoded[:, :, :4].any()
    assert not decoded[:, :, 12:].any()


def test_the_likelihood_of_a_pair_is_that_of_its_halves() -> None:
    network, images = built(), pairs()
    halves = network.halves(images)
    assert torch.equal(halves[:3], images[:, :, 4:12, :8])
    whole = network.nll(images, None, torch.Generator().manual_seed(0), samples=3000)
    left, right = network.one.nll(halves, None, torch.Generator().manual_seed(1), samples=3000).chunk(2)
    assert torch.allclose(whole, left + right, atol=0.3)
    bound = network.elbo(images, None, torch.Generator().manual_seed(0))
    assert bound.shape == (3,)
    assert (bound < 0).all()


def test_what_does_not_halve_is_refused() -> None:
    for size, latent in ((18, 6), (16, 5)):
        with pytest.raises(ValueError, match="halves"):
            models.build("pair_vae", Shape(1, 1, size), {"latent": latent})
