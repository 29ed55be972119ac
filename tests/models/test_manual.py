"""Gradients by hand against autograd's, in double precision."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import models
from models import Shape, manual

SHAPE = Shape(3, 5, 12)
LAYERS: dict[str, tuple[str, tuple[object, ...], dict[str, object]]] = {
    "linear": ("Linear", (6, 4), {}),
    "linear without a bias": ("Linear", (6, 4), {"bias": False}),
    "relu": ("ReLU", (), {}),
    "convolution": ("Conv2d", (3, 4, 3), {"padding": 1}),
    "convolution of step 2": ("Conv2d", (3, 4, 3), {"padding": 1, "stride": 2, "bias": False}),
    "convolution of 1 x 3": ("Conv2d", (3, 4, (1, 3)), {"padding": (0, 1)}),
    "pooling": ("MaxPool2d", (2,), {}),
    "pooling of 3": ("MaxPool2d", (3,), {}),
    "batch norm": ("BatchNorm2d", (3,), {}),
}


def gradients(layer: nn.Module, x: Tensor, weights: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(3)) if weights is None else weights
    grads = torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])
    return y.detach(), list(grads)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_the_numbers_and_gradients_of_its_twin(name: str, training: bool) -> None:
    kind, arguments, options = LAYERS[name]
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(*arguments, **options).double().train(training)
    ours = getattr(manual, kind)(*arguments, **options).double().train(training)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn((7, 6) if kind == "Linear" else (4, 3, 9, 8), dtype=torch.float64)
    (y, grads), (y_twin, grads_twin) = gradients(ours, x), gradients(theirs, x)
    torch.testing.assert_close(y, y_twin, atol=1e-6, rtol=0)
    for one, other in zip(grads, grads_twin, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


@given(seed=st.integers(0, 1000), count=st.integers(1, 9), smoothing=st.sampled_from([0.0, 0.1]), soft=st.booleans())
@settings(deadline=None, max_examples=30)
def test_cross_entropy_is_that_of_torch(seed: int, count: int, smoothing: float, soft: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (10 * torch.randn(count, 5, dtype=torch.float64, generator=generator)).requires_grad_()
    targets = (
        torch.rand(count, 5, dtype=torch.float64, generator=generator).softmax(1)
        if soft
        else torch.randint(0, 5, (count,), generator=generator)
    )
    _assert_alike(
        logits,
        lambda s: manual.cross_entropy(s, targets, label_smoothing=smoothing),
        lambda s: F.cross_entropy(s, targets, label_smoothing=smoothing),
    )


@given(seed=st.integers(0, 1000), count=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_hinge_is_that_of_torch_summed_over_classes(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = (3 * torch.randn(count, 5, dtype=torch.float64, generator=generator)).requires_grad_()
    labels = torch.randint(0, 5, (count,), generator=generator)
    _assert_alike(scores, lambda s: manual.hinge(s, labels), lambda s: F.multi_margin_loss(s, labels) * 5)


def test_hinge_of_a_case_worked_out_by_hand() -> None:
    """Of class 0: max(0, 2 - 1 + 1) + max(0, -1 - 1 + 1) = 2; of class 2: max(0, 0 - 3 + 1) + max(0, 2.5 - 3 + 1) = 0.5."""
    scores = torch.tensor([[1.0, 2.0, -1.0], [0.0, 2.5, 3.0]], requires_grad=True)
    loss = manual.hinge(scores, torch.tensor([0, 2]))
    loss.backward()
    assert loss.item() == pytest.approx((2 + 0.5) / 2)
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-0.5, 0.5, 0.0], [0.0, 0.5, -0.5]]


def _assert_alike(x: Tensor, ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    one, other = ours(x), theirs(x)
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(one, x)[0], torch.autograd.grad(other, x)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("linear", {}), ("mlp", {"widths": (8, 6)}), ("cnn", {"widths": (4, 6), "pools": (0,)}), ("cnn", {"batch_norm": False})],
)
def test_a_network_learns_the_same_by_hand(name: str, architecture: dict[str, object]) -> None:
    """Ten steps in double precision, from the same weights."""
    ended = []
    for backward in ("auto", "manual"):
        torch.manual_seed(0)
        network = models.build(name, SHAPE, {**architecture, "backward": backward}).double().train()
        optimizer = torch.optim.SGD(network.parameters(), 0.05)
        loss_of = manual.cross_entropy if backward == "manual" else F.cross_entropy
        x, labels = torch.rand(16, 3, 12, 12, dtype=torch.float64), torch.arange(16) % 5
        for _ in range(10):
            optimizer.zero_grad()
            loss_of(network(x), labels).backward()
            optimizer.step()
        ended.append(network.state_dict())
    for key in ended[0]:
        torch.testing.assert_close(ended[0][key], ended[1][key], atol=1e-6, rtol=0)


def test_it_trains_under_autocast() -> None:
    network = models.build("cnn", SHAPE, {"backward": "manual"})
    with torch.autocast("cpu", torch.bfloat16):
        y = network(torch.rand(2, 3, 12, 12))
    y.sum().backward()
    assert y.dtype == torch.float32
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in network.parameters())
