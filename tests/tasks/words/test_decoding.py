"""Sentences out of decoders: the beam is held against every sentence that there is."""

from itertools import product

import pytest
import torch
from torch import Tensor

from models import Shape, caption
from models.decoders import Decoder
from tasks.words import decoding
from tasks.words.vocabulary import END, PAD, START, UNKNOWN

WORDS, LENGTH = 7, 4


def network(decoder: str, seed: int = 0, words: int = WORDS) -> caption.Captioner:
    torch.manual_seed(seed)
    built = caption.build(Shape(3, words, 64, {"length": LENGTH + 1}), decoder=decoder, width=8, heads=2).eval()
    # Far from even odds, so that greedy is not always best.
    with torch.no_grad():
        for parameter in built.decoder.parameters():
            parameter.mul_(4)
    return built


def regions(count: int = 5) -> Tensor:
    return torch.randn(count, 4, 8, generator=torch.Generator().manual_seed(1))


def log_probability(decoder: Decoder, seen: Tensor, sentence: tuple[int, ...]) -> float:
    """Of a sentence with its end, without words that are none."""
    logits = decoder.logits(decoder(seen, torch.tensor([[[START, *sentence[:-1]]]])))[0, 0].clone()
    logits[:, [PAD, START, UNKNOWN]] = -torch.inf
    return float(logits.log_softmax(1)[range(len(sentence)), list(sentence)].sum())


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sentences(decoder: str, penalty: float) -> None:
    made, seen = network(decoder).decoder, regions()
    found = decoding.beam(made, seen, LENGTH, width=200, penalty=penalty)
    letters = [word for word in range(WORDS) if word not in (PAD, START, END, UNKNOWN)]
    every = [(*inner, END) for count in range(LENGTH) for inner in product(letters, repeat=count)]
    with torch.no_grad():
        for number in range(len(seen)):
            scored = {s: log_probability(made, seen[number : number + 1], s) / len(s) ** penalty for s in every}
            best = max(scored, key=lambda sentence: scored[sentence])
            words = tuple(word for word in found.words[number].tolist() if word != PAD)
            assert scored[words] == pytest.approx(scored[best], abs=1e-4)
            assert float(found.scores[number]) == pytest.approx(scored[best], abs=1e-4)


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
def test_a_step_gives_what_all_words_at_once_give(decoder: str) -> None:
    made, seen = network(decoder).decoder, regions()
    words = torch.randint(0, WORDS, (5, LENGTH), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole, state = made.logits(made(seen, words[:, None]))[:, 0], made.begin(seen)
        for place in range(LENGTH):
            logits, state, shares = made.step(state, words[:, place])
            assert torch.allclose(logits, whole[:, place], atol=1e-5)
            assert torch.allclose(shares.sum(1), torch.ones(5), atol=1e-5)


@pytest.mark.parametrize("decoder", ["lstm", "attention", "transformer"])
def test_a_beam_of_one_is_greedy_and_batches_change_nothing(decoder: str) -> None:
    made, seen = network(decoder), regions()
    together = decoding.beam(made.decoder, seen, LENGTH, width=1)
    for number in range(len(seen)):
        alone = decoding.beam(made.decoder, seen[number : number + 1], LENGTH, width=1)
        words = together.words[number][together.words[number] != PAD]
        assert alone.words[0].tolist() == words.tolist()
    wide = decoding.beam(made.decoder, seen, LENGTH, width=3, penalty=0)
    with torch.no_grad():
        for number, words in enumerate(wide.words):
            sentence = tuple(word for word in words.tolist() if word != PAD)
            expected = log_probability(made.decoder, seen[number : number + 1], sentence)
            assert float(wide.scores[number]) == pytest.approx(expected, abs=1e-4)


def test_words_that_are_none_are_never_said() -> None:
    made = network("attention").decoder
    with torch.no_grad():
        made.output.bias[[PAD, START, UNKNOWN]] = 99.0
    for found in (
        decoding.beam(made, regions(50), LENGTH),
        decoding.sample(made, regions(50), LENGTH, 2.0, torch.Generator().manual_seed(0)),
    ):
        for words in found.words.tolist():
            until = words.index(END)
            assert not {PAD, START, UNKNOWN} & {*words[:until]}
            assert {*words[until + 1 :]} <= {PAD}


def test_a_low_temperature_is_greedy_and_a_high_one_is_not() -> None:
    made, seen = network("attention", words=30).decoder, regions(20)
    greedy = decoding.beam(made, seen, LENGTH, width=1).words
    cold = decoding.sample(made, seen, LENGTH, 1e-3, torch.Generator().manual_seed(0)).words
    hot = decoding.sample(made, seen, LENGTH, 5.0, torch.Generator().manual_seed(0)).words
    # The last word of a sentence that has not ended is its end, which greedy says too.
    assert torch.equal(cold[:, 0], greedy[:, 0])
    assert (hot[:, 0] != greedy[:, 0]).float().mean() > 0.3


def test_a_beam_s_sentences_come_in_order_and_the_first_is_the_one_that_is_said() -> None:
    made, seen = network("transformer").decoder, regions()
    several, one = decoding.beams(made, seen, LENGTH, width=4), decoding.beam(made, seen, LENGTH, width=4)
    assert several.words.shape[:2] == (5, 4)
    assert (several.scores.diff(dim=1) <= 0).all()
    first = decoding.chosen(several, torch.zeros(5, dtype=torch.int64))
    assert all(torch.equal(a, b) for a, b in zip(first, one))
    which = torch.tensor([3, 0, 1, 2, 0])
    for number, row in enumerate(which.tolist()):
        assert torch.equal(decoding.chosen(several, which).words[number], several.words[number, row])
    said = {tuple(sentence) for sentence in several.words[0].tolist()}
    assert len(said) == 4
