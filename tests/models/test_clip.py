"""Two encoders in one space: the loss of the publication, the temperature, and what says nothing."""

import math

import pytest
import torch
from torch import Tensor

from models import Shape, clip


def network(**arguments: object) -> clip.Clip:
    return clip.build(Shape(3, 9, 32, {"words": 12}), space=8, width=8, **arguments)  # type: ignore[arg-type]


def test_the_loss_is_that_of_the_publication() -> None:
    """Figure 3's pseudo-code, by loops."""
    logits = torch.randn(5, 5, dtype=torch.float64)

    def cross_entropy(rows: Tensor) -> Tensor:
        return -torch.stack([row[i] - row.exp().sum().log() for i, row in enumerate(rows)]).mean()

    expected = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
    assert float(clip.contrastive(logits)) == pytest.approx(float(expected), abs=1e-12)
    assert float(clip.contrastive(100 * torch.eye(4))) < 1e-6
    assert float(clip.right(torch.eye(4).flip(0))) == 0


def test_vectors_have_length_one_and_words_alone_count() -> None:
    net = network().eval()
    images = net(torch.rand(2, 3, 40, 50))
    assert images.shape == (2, 8)
    assert images.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    # Start, end, fill and what is unknown change nothing, and neither does the order.
    one, other = torch.tensor([[1, 5, 7, 2, 0, 0]]), torch.tensor([[7, 3, 5]])
    assert torch.allclose(net.encode_sentences(one), net.encode_sentences(other), atol=1e-6)
    assert net.encode_sentences(torch.zeros(1, 4, dtype=torch.long)).isfinite().all()


def test_the_mean_leaves_words_out_while_it_learns_alone() -> None:
    net = network(missing=0.5, dropout=(0.0, 0.0))
    sentences = torch.arange(4, 12).repeat(2, 1)
    net.train()
    assert not torch.equal(*net.encode_sentences(sentences))
    net.eval()
    assert torch.equal(*net.encode_sentences(sentences))


def test_a_grid_tells_places_apart() -> None:
    net = network(grid=2)
    assert net.features(torch.rand(1, 3, 64, 64)).shape == (1, 4 * 1280)


def test_the_temperature_is_learned_and_bounded() -> None:
    net = network(missing=0.0)
    features, sentences = torch.randn(6, 1280), torch.randint(4, 12, (6, 3))
    optimizer = torch.optim.SGD([net.scale], lr=0.1)

    def update(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    before = float(net.scale.detach())
    values = net.training_step(features, sentences, {"network": update})
    assert float(net.scale.detach()) != before
    assert 0 < float(values["temperature"].detach()) < 1
    with torch.no_grad():
        net.scale.fill_(50.0)
    net.training_step(features, sentences, {"network": lambda loss: None})
    assert float(net.scale.detach()) == pytest.approx(math.log(1 / clip.LOWEST))


def test_it_learns_pairs() -> None:
    """Six images and six sentences of a word each find one another."""
    torch.manual_seed(1)
    net = network(missing=0.0, dropout=(0.0, 0.0))
    features, sentences = torch.randn(6, 1280), torch.arange(4, 10).unsqueeze(1)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.02)

    def update(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(40):
        values = net.training_step(features, sentences, {"network": update})
    assert float(values["accuracy"].detach()) == 1
