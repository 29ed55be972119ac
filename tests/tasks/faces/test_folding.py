"""Networks that are folded for evaluation answer as before."""

import pytest
import torch
from torch import nn

import models
from models import Shape
from tasks.faces.folding import folded


def trained(name: str, size: int = 48) -> nn.Module:
    """A network whose batch norms have seen something."""
    torch.manual_seed(0)
    network = models.build(name, Shape(1, 7, size), {})
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(8, 1, size, size))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(-1, 1)
                module.bias.uniform_(-1, 1)
    return network.eval()


@pytest.mark.parametrize("name", ["emotion", "deepface"])
@torch.inference_mode()
def test_a_folded_network_answers_as_before_and_leaves_the_other_alone(name: str) -> None:
    network, faces = trained(name), torch.rand(5, 1, 48, 48)
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    before = network(faces)
    torch.testing.assert_close(folded(network)(faces), before, rtol=1e-4, atol=1e-4)
    assert torch.equal(network(faces), before)
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())


def test_no_batch_norm_is_left_and_pooling_comes_first() -> None:
    layers = [*folded(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()))]
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "MaxPool2d", "ReLU", "Flatten"]


def test_a_batch_norm_that_follows_no_convolution_stays() -> None:
    layers = [*folded(nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)))]
    assert [type(layer).__name__ for layer in layers] == ["BatchNorm2d", "Conv2d", "ReLU", "BatchNorm2d"]
