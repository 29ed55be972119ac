"""Saliency maps against what they are defined as."""

import numpy as np
import pytest
import torch
from torch import nn

import models
from models import Shape
from tasks.common.errors import Error
from tasks.inside import maps, sanity
from tasks.studies import saliency

SETTINGS = maps.Settings(samples=64)


def network() -> nn.Module:
    torch.manual_seed(0)
    return models.build("cnn", Shape(3, 5, 16), {"widths": (8, 8)}).eval()


def images(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


CLASSES = torch.tensor([0, 4, 2])


def test_the_study_offers_what_there_is() -> None:
    assert tuple(maps.METHODS) == saliency.METHODS


def test_the_gradient_is_the_slope_of_the_score() -> None:
    net, x = network().double(), images(1).double()
    found = maps.gradients(net, x, CLASSES[:1])
    for place in [(0, 0, 3, 4), (0, 2, 15, 0)]:
        step = torch.zeros_like(x)
        step[place] = 1e-6
        slope = (net(x + step) - net(x - step))[0, 0] / 2e-6
        assert found[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-9)
    assert torch.equal(maps.gradient(net, x, CLASSES[:1]), found.abs().max(1).values)


def test_attributions_add_up_to_the_rise_of_the_score() -> None:
    net, x = network(), images()
    rise = (net(x) - net(maps.blurred(x))).gather(1, CLASSES[:, None])[:, 0]
    total = maps.attributions(net, x, CLASSES, SETTINGS).sum((1, 2, 3))
    assert torch.allclose(total, rise, atol=0.02 * rise.abs().max().item())


def test_smoothgrad_without_noise_is_the_gradient() -> None:
    net, x = network(), images()
    smooth = maps.smoothgrad(net, x, CLASSES, maps.Settings(samples=2, noise=0.0))
    assert torch.allclose(smooth, maps.gradient(net, x, CLASSES), atol=1e-7)


def test_grad_cam_of_one_linear_layer_on_pooled_features_is_the_class_activation_map() -> None:
    """With global pooling, Grad-CAM is CAM (Zhou et al. 2016) up to the number of places."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
    head = nn.Linear(6, 5)
    net = nn.Sequential()
    net.add_module("features", features)
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("head", head)
    x = images()
    expected = torch.einsum("nchw,nc->nhw", features(x), head.weight[CLASSES]).relu() / 256
    assert torch.allclose(maps.grad_cam(net, x, CLASSES), expected, atol=1e-6)


def test_guided_backpropagation_passes_what_is_positive_alone() -> None:
    """Of two layers by hand: d(score)/d(hidden) is clipped at 0 before it goes on."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, 2, 0, 0], [0, 0, 5, 3]]))
        net[3].weight.copy_(torch.tensor([[2.0, -7]]))
    x = torch.ones(1, 1, 2, 2)
    assert maps.guided_backpropagation(net, x, torch.tensor([0])).flatten().tolist() == [2, 4, 0, 0]
    assert maps.gradient(net, x, torch.tensor([0])).flatten().tolist() == [2, 4, 35, 21]


@pytest.mark.parametrize("method", maps.METHODS)
def test_a_map_does_not_depend_on_its_batch(method: str) -> None:
    net, x = network(), images()
    together = maps.in_batches(method, net, x, CLASSES, maps.Settings(4))
    assert together.shape == (3, 16, 16)
    assert (together >= 0).all()
    alone = maps.in_batches(method, net, x, CLASSES, maps.Settings(4), batch=1)
    assert torch.allclose(together, alone, atol=1e-5 * together.max().item())


@pytest.mark.parametrize("method", maps.METHODS)
def test_a_map_in_bf16_is_nearly_that_in_fp32(method: str) -> None:
    net, x = network(), images()
    exact, quick = (
        maps.in_batches(method, net, x, CLASSES, maps.Settings(4, precision=precision)) for precision in ("fp32", "bf16")
    )
    assert quick.dtype == torch.float32
    assert not torch.equal(exact, quick)
    assert np.corrcoef(exact.flatten(), quick.flatten())[0, 1] > 0.95


def test_what_has_no_gradients_is_refused() -> None:
    knn = models.build("knn", Shape(3, 5, 16), {}).eval()
    with pytest.raises(Error, match="no gradients, as nearest neighbours"):
        maps.gradient(knn, images(), CLASSES)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    with pytest.raises(Error, match="no convolutions"):
        maps.grad_cam(linear, images(), CLASSES)
    with pytest.raises(Error, match="no ReLU"):
        maps.guided_backpropagation(linear, images(), CLASSES)


def test_insertion_and_deletion_against_a_slow_loop() -> None:
    net, x = network(), images(1)[0]
    saliency_map, other = torch.rand(16, 16), torch.zeros_like(x)
    ends = sanity.probabilities(net, torch.stack([other, x]), torch.tensor([2, 2])).numpy()
    found = sanity.curve(net, x, other, saliency_map, 2, 4, ends)
    order = saliency_map.flatten().argsort(descending=True)
    slow = []
    for count in (0, 64, 128, 192, 256):
        mixed = other.clone().flatten(1)
        for pixel in order[:count]:
            mixed[:, pixel] = x.flatten(1)[:, pixel]
        slow.append(net(mixed.view(1, 3, 16, 16)).softmax(1)[0, 2].item())
    assert np.allclose(found, slow, atol=1e-6)
    assert sanity.area(np.array([0.0, 1, 1])) == pytest.approx(0.75)


def test_a_blur_keeps_what_is_even_and_the_mean() -> None:
    assert torch.allclose(maps.blurred(torch.full((1, 3, 32, 24), 0.3)), torch.tensor(0.3))
    point = torch.zeros(1, 1, 65, 65)
    point[0, 0, 32, 32] = 1
    assert maps.blurred(point).sum().item() == pytest.approx(1, abs=1e-4)


def test_layers_are_redrawn_one_by_one_from_the_last() -> None:
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    counts = []
    for name, drawn in sanity.randomised(net, 3, seed=0):
        own, theirs = dict(net.named_parameters()), dict(drawn.named_parameters())
        counts.append(sum(not torch.equal(own[key], theirs[key]) for key in own))
        for key in own:
            assert own[key].flatten().sort().values.equal(theirs[key].flatten().sort().values), "a new order, no new values"
        assert any(key.startswith(name) for key in own)
    weights = [key for key, value in before.items() if value.ndim > 1]
    assert counts == sorted(counts)
    assert counts[-1] >= len(weights), "at the end all are"
    assert all(before[key].equal(value) for key, value in net.state_dict().items()), "the network itself is left alone"


def test_rank_correlation() -> None:
    up = np.arange(16.0).reshape(4, 4)
    assert sanity.rank_correlation(up, up**3) == pytest.approx(1)
    assert sanity.rank_correlation(up, -up) == pytest.approx(-1)
    assert sanity.rank_correlation(up, np.zeros((4, 4))) == 0


def test_the_pointing_game() -> None:
    saliency_map = np.zeros((10, 10))
    saliency_map[2, 7] = 1
    assert sanity.points_into(saliency_map, np.array([[0, 0, 1, 1], [6, 1, 9, 4]], float))
    assert not sanity.points_into(saliency_map, np.array([[1, 6, 4, 9]], float))
    assert sanity.covered(np.array([[0, 0, 5, 10], [0, 0, 5, 5]], float), 10, 10) == 0.5
