"""A generator with styles: what a style sets, how styles are mixed, and what truncation leaves."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import models
from models import Shape
from models.stylegan import Styled, StyleGAN, _deviation


def built(**arguments: Any) -> StyleGAN:
    network = models.build("stylegan", Shape(3, 3, 16), {"latent": 8, "width": 4, **arguments}).eval()
    assert isinstance(network, StyleGAN)
    return network


def test_a_style_sets_each_channels_mean_and_deviation() -> None:
    layer = Styled(4, 6, 8, latent=8, up=False, modulated=False).eval()
    w = torch.randn(2, 8)
    with torch.no_grad():
        found = layer(torch.randn(2, 4, 8, 8), w)
        scale, shift = layer.style(w).chunk(2, 1)
    assert torch.allclose(found.mean((2, 3)), shift, atol=1e-4)
    assert torch.allclose(found.var((2, 3), correction=0).sqrt(), (1 + scale).abs(), atol=1e-2)


def test_modulation_is_a_convolution_of_weights_that_are_the_images_own() -> None:
    layer = Styled(4, 6, 8, latent=8, up=False, modulated=True).eval()
    x, style = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 1, 1)
    with torch.no_grad():
        found = layer._modulated(x, style)
        for image, own, result in zip(x, style, found):
            weight = layer.conv.weight * layer.conv.scale * own[:, 0, 0][None, :, None, None]
            weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
            assert torch.allclose(F.conv2d(image[None], weight, layer.conv.bias, padding=1)[0], result, atol=1e-4)


@pytest.mark.parametrize("modulated", [False, True])
def test_mixed_styles_lie_between_their_sources(modulated: bool) -> None:
    network = built(modulated=modulated)
    first, other = network.mapping(torch.randn(2, 8)).split(1)
    layers = network.generator.layers
    with torch.no_grad():
        assert torch.equal(network.mix(first, other, layers), network.synthesise(first))
        assert torch.equal(network.mix(first, other, 0), network.synthesise(other))
        between = network.mix(first, other, layers // 2)
    assert not torch.allclose(between, network.synthesise(first), atol=1e-4)
    assert not torch.allclose(between, network.synthesise(other), atol=1e-4)


def test_truncation_ends_at_the_mean_of_all_styles() -> None:
    network = built()
    network.generator.mean.normal_()
    noise = torch.randn(3, 8)
    with torch.no_grad():
        mean = network.decode(noise, truncation=0.0)
        assert torch.allclose(mean, mean[:1].expand_as(mean), atol=1e-5)
        assert torch.equal(network.decode(noise, truncation=1.0), network.decode(noise))
    assert torch.allclose(network.mapping(noise, 0.5), (network.mapping(noise) + network.generator.mean) / 2, atol=1e-5)


def test_training_follows_the_mean_of_styles_and_draws_noise() -> None:
    network = built().train()
    for layer in network.generator.synthesis.layers:
        torch.nn.init.ones_(layer.strength)
    w = network.mapping(torch.randn(1, 8))
    with torch.no_grad():
        assert not torch.allclose(network.synthesise(w), network.synthesise(w), atol=1e-4)
        assert torch.equal(network.eval().synthesise(w), network.synthesise(w))
        network.train()._fake(16)
    assert network.generator.mean.abs().sum() > 0


def test_the_discriminator_sees_how_much_images_differ() -> None:
    same = torch.randn(1, 3, 4, 4).repeat(8, 1, 1, 1)
    assert _deviation(same).max() < 1e-3
    assert _deviation(torch.randn(8, 3, 4, 4)).min() > 0.3


def test_sides_that_are_no_doublings_are_refused() -> None:
    assert [models.build("stylegan", Shape(1, 1, side), {"width": 2}).generator.layers for side in (28, 32, 64)] == [6, 8, 10]
    for side in (18, 30, 7):
        with pytest.raises(ValueError, match="take 16, 28, 32 or 64"):
            models.build("stylegan", Shape(1, 1, side), {"width": 2})
