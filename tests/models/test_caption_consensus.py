"""Captions by consensus: what sentences have in common, and which of a beam's is said."""

import pytest
import torch

import models
from models import Shape
from models.caption_consensus import Consensus, Sentences, spoken
from models.decoders import END, PAD, START
from tasks.words import scores

A, DOG, CAT, RUNS, SITS, SNOW = range(4, 10)
PEOPLE = [[[A, DOG, RUNS], [A, DOG, RUNS, SNOW]], [[A, CAT, SITS], [CAT, SITS, SNOW]], [[A, DOG, SITS], [DOG, SITS]]]


def numbers(sentences: list[list[int]], length: int = 7) -> torch.Tensor:
    """Sentences as the data have them, with start, end and fill."""
    return torch.tensor([[START, *words, END, *[PAD] * (length - 2 - len(words))] for words in sentences])


def network(**architecture: object) -> Consensus:
    made = models.build("caption_consensus", Shape(3, 12, 64, {"length": 8}), {"width": 8, "heads": 2, **architecture})
    assert isinstance(made, Consensus)
    return made.eval()


EVERY = [sentence for own in PEOPLE for sentence in own]


@pytest.mark.parametrize("one", EVERY)
@pytest.mark.parametrize("other", EVERY)
def test_what_two_sentences_of_one_length_have_in_common_is_their_cider(one: list[int], other: list[int]) -> None:
    """CIDEr-D counts less where lengths differ, and clips counts where a run comes twice, which none does here."""
    if len(one) != len(other):
        return
    known = Sentences(PEOPLE)
    documents = scores.Documents([[[str(n) for n in sentence] for sentence in own] for own in PEOPLE])
    found = (known.rows([one]) @ known.rows([other]).T).toarray()[0, 0] / 4
    assert found == pytest.approx(documents.cider([str(n) for n in one], [[str(n) for n in other]]) / 10, abs=1e-9)


def test_the_sentence_is_said_that_people_s_for_the_nearest_photographs_agree_with() -> None:
    made = network(neighbours=1, common=2, trust=100.0)
    stem = torch.randn(3, 1280, 2, 2, generator=torch.Generator().manual_seed(0))
    made.remember(stem, torch.stack([numbers(own) for own in PEOPLE]))
    several = torch.stack([numbers([[A, DOG, RUNS, SNOW], [A, CAT, SITS], [DOG, SITS]])[:, 1:]] * 3)
    likely = torch.tensor([[-1.0, -1.1, -1.2]] * 3)
    assert made.choose(stem, several, likely).tolist() == [0, 1, 2]
    # A photograph alone is told what it is told among others.
    assert made.choose(stem[1:2], several[1:2], likely[1:2]).tolist() == [1]
    made.trust = 0.0
    assert made.choose(stem, several, likely).tolist() == [0, 0, 0]


def test_without_a_memory_the_likeliest_sentence_is_said() -> None:
    made = network()
    assert made.choose(
        torch.randn(1, 1280, 2, 2), numbers([[A, DOG], [A, CAT]])[None], torch.tensor([[-2.0, -1.0]])
    ).tolist() == [1]


def test_the_memory_goes_with_the_weights() -> None:
    made, again = network(), network()
    made.remember(torch.randn(3, 1280, 2, 2), torch.stack([numbers(own) for own in PEOPLE]))
    again.load_state_dict(made.state_dict())
    assert torch.equal(again.sentences, made.sentences)
    assert torch.equal(again.features, made.features)


def test_starts_ends_and_fill_are_not_spoken() -> None:
    assert spoken(numbers([[A, DOG], []])) == [[A, DOG], []]
