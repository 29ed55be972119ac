"""Captioners: gradients by hand, losses without fill, and words that are none."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import models
from models import Shape, caption, decoders
from models.packed import PackedLSTM
from models.recurrence import ManualRNN
from tests import backbone

SENTENCES = torch.tensor([[[1, 5, 6, 3, 2, 0], [1, 6, 2, 0, 0, 0]], [[1, 4, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0]]])


def test_the_gradients_by_hand_are_those_of_autograd() -> None:
    twin = torch.nn.RNN(5, 7, batch_first=True).double()
    own = ManualRNN(5, 7).double()
    own.load_state_dict(twin.state_dict())
    results = []
    for network in (twin, own):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(3, 6, 5, dtype=torch.float64, generator=generator).requires_grad_()
        first = torch.randn(1, 3, 7, dtype=torch.float64, generator=generator).requires_grad_()
        outputs, last = network(x, first)
        (outputs * torch.randn(3, 6, 7, dtype=torch.float64, generator=generator)).sum().add(last.square().sum()).backward()
        results.append([outputs, last, x.grad, first.grad, *(p.grad for p in network.parameters())])
    for theirs, mine in zip(*results):
        assert torch.allclose(theirs, mine, atol=1e-6, rtol=0)
    assert all(gradient.abs().max() > 1e-3 for gradient in results[1][2:])


def test_the_rnn_by_hand_learns_as_autograds() -> None:
    losses = []
    for backward in ("auto", "manual"):
        torch.manual_seed(0)
        network = caption.build(Shape(3, 8, 64), decoder="rnn", width=16, dropout=0.0, backward=backward).double().train()
        stem = torch.rand(2, 1280, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        loss = network.losses(stem, SENTENCES)
        loss.backward()
        losses.append([loss, *(p.grad for p in network.decoder.parameters())])
    for theirs, mine in zip(*losses):
        assert torch.allclose(theirs, mine, atol=1e-6, rtol=0)


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5).map(lambda found: sorted(found, reverse=True)).filter(any))
def test_an_lstm_without_fill_has_the_numbers_and_gradients_of_its_twin(lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    twin, own = torch.nn.LSTM(3, 4, batch_first=True).double(), PackedLSTM(3, 4).double()
    own.load_state_dict(twin.state_dict())
    goes_on = torch.tensor(lengths) > torch.arange(6)[:, None]
    places, rows = goes_on.nonzero(as_tuple=True)
    counts = tuple(count for count in goes_on.sum(1).tolist() if count)
    results = []
    for network in (twin, own):
        x = torch.randn(len(lengths), 6, 3, dtype=torch.float64, generator=generator.manual_seed(1)).requires_grad_()
        first = torch.randn(len(lengths), 4, dtype=torch.float64, generator=generator).requires_grad_()
        if isinstance(network, PackedLSTM):
            states = network.packed(x[rows, places], first, counts)
        else:
            states = network(x, (first[None], torch.zeros_like(first)[None]))[0][rows, places]
        (states * torch.randn(states.shape, dtype=torch.float64, generator=generator)).sum().backward()
        results.append([states, x.grad, first.grad, *(p.grad for p in network.parameters())])
    for theirs, mine in zip(*results):
        assert torch.allclose(theirs, mine, atol=1e-6, rtol=0)
    assert all(gradient.abs().max() > 1e-3 for gradient in results[1][1:4])


def test_the_lstm_without_fill_learns_as_with_it() -> None:
    losses = []
    for counted in (decoders.Recurrent.counted, decoders.Decoder.counted):
        torch.manual_seed(0)
        network = caption.build(Shape(3, 8, 64), decoder="lstm", width=16, dropout=0.0).double().train()
        regions = network.see(torch.rand(2, 1280, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
        hidden, said = counted(network.decoder, regions, SENTENCES)
        loss = torch.nn.functional.cross_entropy(network.decoder.logits(hidden), said, ignore_index=decoders.UNKNOWN)
        loss.backward()
        losses.append([loss, *(p.grad for p in network.decoder.parameters())])
    for theirs, mine in zip(*losses):
        assert torch.allclose(theirs, mine, atol=1e-6, rtol=0)


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
def test_fill_and_unknown_words_do_not_count(decoder: str) -> None:
    torch.manual_seed(0)
    network = caption.build(Shape(3, 8, 64), decoder=decoder, width=16).eval()
    stem = torch.rand(2, 1280, 2, 2)
    expected = []
    with torch.no_grad():
        for image, sentence in ((0, [1, 5, 6, 3, 2]), (0, [1, 6, 2]), (1, [1, 4, 2])):
            hidden = network.decoder(network.see(stem)[[image]], torch.tensor([[sentence[:-1]]]))
            logs = network.decoder.logits(hidden)[0, 0].log_softmax(1)
            expected += [-logs[place, word] for place, word in enumerate(sentence[1:]) if word != 3]
        loss = network.losses(stem, SENTENCES)
        longer = network.losses(stem, torch.nn.functional.pad(SENTENCES, (0, 4)))
    assert float(loss) == pytest.approx(float(torch.stack(expected).mean()), abs=1e-5)
    assert float(longer) == pytest.approx(float(loss), abs=1e-6)


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
def test_every_parameter_learns_from_more_than_one_region(decoder: str) -> None:
    network = caption.build(Shape(3, 8, 64), decoder=decoder, width=16, dropout=0.0).train()
    network.losses(torch.rand(2, 1280, 2, 2), SENTENCES).backward()
    still = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum())]
    assert still == []


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
def test_one_table_for_words_in_and_out_is_saved_and_loaded(decoder: str, tmp_path: Path) -> None:
    built = [caption.build(Shape(3, 8, 64), decoder=decoder, width=16, tied=True).eval() for _ in range(2)]
    network, other = built
    table = network.decoder.embedding.weight
    assert [name for name, p in network.decoder.named_parameters() if p.shape == table.shape] == ["embedding.weight"]
    stem = torch.rand(2, 1280, 2, 2)
    network.losses(stem, SENTENCES).backward()
    # A word that no sentence begins or goes on with learns from the output alone.
    assert table.grad[7].abs().sum() > 0
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    with torch.no_grad():
        logits, loaded = (one.decoder.logits(one.decoder(one.see(stem), SENTENCES)) for one in built)
        hidden = network.decoder(network.see(stem), SENTENCES)
    assert torch.equal(logits, loaded)
    assert torch.allclose(logits, hidden @ table.T + network.decoder.output.bias, atol=1e-5)


@pytest.mark.parametrize(("frozen", "learns"), [(19, 0), (18, 1), (14, 5)])
def test_the_last_blocks_of_the_backbone_learn_where_they_are_not_frozen(frozen: int, learns: int) -> None:
    network = caption.build(Shape(3, 8, 64), width=16, frozen=frozen).train()
    blocks = {name.split(".")[1] for name, p in network.backbone.named_parameters() if p.requires_grad}
    assert len(blocks) == learns
    stem = network.stem(torch.rand(2, 3, 64, 64))
    assert not stem.requires_grad
    assert network.see(stem).shape == (2, 4, 16)
    assert network.see(stem).requires_grad


@pytest.mark.parametrize(("frozen", "channels"), caption.OUTPUTS.items())
def test_the_blocks_of_the_backbone_give_what_is_known_of_them(frozen: int, channels: tuple[int, int]) -> None:
    network = caption.build(Shape(3, 8, 64), width=16, frozen=frozen).eval()
    with torch.no_grad():
        assert network.stem(torch.rand(1, 3, 64, 64)).shape == (1, channels[0], 64 // channels[1], 64 // channels[1])


@pytest.mark.parametrize(("strides", "regions"), [((), 4), ((1, 2), 16)])
def test_a_neck_learns_in_place_of_further_blocks(strides: tuple[int, ...], regions: int) -> None:
    network = caption.build(Shape(3, 8, 64), width=16, frozen=7, neck=(8, 12), strides=strides).train()
    network.backbone.load_pretrained(backbone.tensors())
    assert len(network.backbone.features) == 7
    network.losses(network.stem(torch.rand(2, 3, 64, 64)), SENTENCES).backward()
    still = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum())]
    assert still == []
    assert network.see(network.stem(torch.rand(2, 3, 64, 64))).shape == (2, regions, 16)


@pytest.mark.parametrize("deep", [False, True])
def test_attention_says_word_by_word_what_it_learned_at_once(deep: bool) -> None:
    torch.manual_seed(0)
    network = caption.build(Shape(3, 8, 64), width=16, deep=deep).eval()
    with torch.no_grad():
        regions = network.see(torch.rand(2, 1280, 2, 2))
        words = SENTENCES[:, 0, :3]
        at_once = network.decoder.logits(network.decoder(regions, words[:, None]))[:, 0]
        state = network.decoder.begin(regions)
        for place, word in enumerate(words.unbind(1)):
            logits, state, shares = network.decoder.step(state, word)
            assert torch.allclose(logits, at_once[:, place], atol=1e-5)
            assert torch.allclose(shares.sum(1), torch.ones(2))


def test_another_size_of_picture_has_places_between() -> None:
    network = caption.build(Shape(3, 8, 64), width=16).eval()
    assert network(torch.rand(2, 3, 96, 160)).shape == (2, caption.LENGTH - 1)


def test_an_answer_has_words_until_its_end() -> None:
    torch.manual_seed(0)
    network = caption.build(Shape(3, 8, 64), width=16).eval()
    with torch.no_grad():
        network.decoder.output.bias[list(caption.BANNED)] = 9.0
        found = network(torch.rand(20, 3, 64, 64)).long()
    for words in found.tolist():
        until = words.index(2) if 2 in words else len(words)
        assert min(words[:until], default=4) >= 4
        assert not any(words[until + 1 :])


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"decoder": "lstm", "backward": "manual"}, "gradients by hand are those of decoder: rnn"),
        ({"decoder": "lstm", "deep": True}, "a choice of decoder: attention"),
        ({"decoder": "transformer", "width": 30}, "30 channels are not divisible by 4"),
        ({"neck": (8, 8), "strides": (1,)}, "1 of them for 2 convolutions"),
        ({"frozen": 3}, "greater than or equal to 7"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(architecture: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build("caption", Shape(3, 8, 64), architecture)
