"""Dropout by bytes: the share that is dropped, the mean that stays, and nothing at all outside training."""

import pytest
import torch

from models.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(999_999,), (3, 5, 40_001)])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(share: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.ones(shape, requires_grad=True)
    found = Dropout(share).train()(x)
    assert float((found == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(found.detach().mean()) == pytest.approx(1, abs=0.02)
    found.sum().backward()
    assert torch.equal(x.grad, found), "what is dropped has no gradient, what is kept that of its scale"


def test_draws_differ_come_again_by_seed_and_are_of_all_places() -> None:
    layer, x = Dropout(0.5).train(), torch.ones(4001)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    # Each byte of a draw is as good as another.
    many = torch.stack([layer(x) for _ in range(50)])[:, :4000].reshape(50, -1, 4)
    assert (many == 0).float().mean((0, 1)).numpy() == pytest.approx(0.5, abs=0.02)


def test_nothing_is_dropped_outside_training_or_with_a_share_of_0() -> None:
    x = torch.rand(10)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)
    assert Dropout(0.5).train()(x.bfloat16()).dtype == torch.bfloat16
