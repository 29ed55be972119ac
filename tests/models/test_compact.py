import torch

import models
from models import Shape
from models.compact import Whitening


def test_it_has_the_parameters_that_were_budgeted() -> None:
    for widths, parameters in (((16, 32, 48), 53_280), ((32, 80, 112), 288_864), ((64, 160, 192), 978_176)):
        network = models.build("compact", Shape(3, 10, 32), {"widths": widths})
        assert models.count_parameters(network) == parameters


def test_the_first_layer_is_a_basis() -> None:
    """Rows of length 1 at right angles: nothing is lost, and nothing weighs more."""
    for channels in (1, 3):
        rows = Whitening(channels).weight.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(4 * channels))


def test_the_first_layer_gives_every_channel_the_same_variance() -> None:
    """Neighbouring pixels and colours are alike in natural images: here a smooth grey ramp with a little noise."""
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    images = ramp * torch.rand(64, 1, 1, 1, generator=generator) + 0.05 * torch.randn(64, 3, 32, 32, generator=generator)
    outputs = Whitening(3).train()(images)
    torch.testing.assert_close(outputs.var((0, 2, 3)), torch.ones(12), atol=1e-2, rtol=0)
