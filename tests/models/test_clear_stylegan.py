"""The style-based generator of exact black: what users get is what its discriminator sees."""

import torch

import models
from models import Shape
from models.clear_stylegan import ClearStyleGAN


def made() -> ClearStyleGAN:
    torch.manual_seed(0)
    network = models.build("clear_stylegan", Shape(1, 1, 16), {"latent": 8, "width": 4, "black": 0.1})
    assert isinstance(network, ClearStyleGAN)
    return network


def test_images_have_exact_black_and_nothing_between_black_and_the_level() -> None:
    network = made().eval()
    with torch.inference_mode():
        images = network.decode(torch.randn(16, 8))
    assert images.min() == 0
    assert images.max() <= 1
    assert not ((images > 0) & (images < 0.1 - 1e-6)).any()


def test_the_discriminator_sees_clipped_images_and_the_generator_learns_from_it() -> None:
    network = made()
    images = network._fake(16)
    assert images.min() == -1
    assert images.max() <= 1
    assert not ((images > -1) & (images < -0.8 - 1e-6)).any()
    images.sum().backward()
    slope = network.generator.synthesis.colour.weight.grad
    assert slope.abs().sum() > 0
