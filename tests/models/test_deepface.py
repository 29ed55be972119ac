import pytest
import torch
from torch import nn

from models.deepface import FewChannels


@pytest.mark.parametrize("channels", [1, 3])
def test_the_columns_of_a_kernel_as_channels_are_the_same_convolution(channels: int) -> None:
    torch.manual_seed(0)
    usual = nn.Conv2d(channels, 8, 5, dtype=torch.float64)
    ours = FewChannels(channels, 8, 5, dtype=torch.float64)
    ours.load_state_dict(usual.state_dict())
    images = torch.rand(2, channels, 12, 10, dtype=torch.float64)
    for network in (usual, ours):
        network(images).square().sum().backward()
    assert torch.allclose(ours(images), usual(images), atol=1e-12)
    assert torch.allclose(ours.weight.grad, usual.weight.grad, atol=1e-10)
    assert torch.allclose(ours.bias.grad, usual.bias.grad, atol=1e-10)
