"""What drawn sentences earn, and what is made of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Shape, build
from tasks.words import decoding, scores
from tasks.words.reward import Reward, advantages
from tasks.words.vocabulary import END, START

PEOPLE = torch.tensor([[[1, 5, 6, 7, 8, 2], [1, 5, 6, 9, 2, 0]], [[1, 10, 11, 2, 0, 0], [0, 0, 0, 0, 0, 0]]])


def test_a_reward_is_cider_and_fill_says_nothing() -> None:
    """With the document frequencies of all references, it is what an evaluation of the same sentences has."""
    said = torch.tensor([[[5, 6, 7, 8, 2], [10, 11, 2, 0, 0]], [[10, 11, 2, 0, 0], [2, 0, 0, 0, 0]]])
    found = Reward(PEOPLE)(said, PEOPLE)
    people = [[["5", "6", "7", "8"], ["5", "6", "9"]], [["10", "11"]]]
    first = scores.cider([["5", "6", "7", "8"], ["10", "11"]], people)
    second = scores.cider([["10", "11"], []], people)
    np.testing.assert_allclose(found, np.stack([first, second], 1), rtol=1e-6)
    assert found[0, 0] > found[0, 1] == found[1, 1] == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(0, 10, width=32), min_size=3, max_size=3), min_size=1, max_size=4))
def test_advantages_are_over_the_mean_of_the_others(rewards: list[list[float]]) -> None:
    given_rewards = torch.tensor(rewards, dtype=torch.float64)
    others = (given_rewards.sum(1, keepdim=True) - given_rewards) / 2
    torch.testing.assert_close(advantages(given_rewards), given_rewards - others)


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "attention", "transformer"])
def test_log_probabilities_are_those_that_words_were_drawn_with(decoder: str) -> None:
    network = build("caption", Shape(3, 12, 64, {"length": 8}), {"decoder": decoder, "width": 16, "layers": 1, "heads": 2}).eval()
    regions = network.see(torch.rand(4, 1280, 2, 2))  # type: ignore[operator]
    drawn = decoding.sample(network.decoder, regions, 7, 1.0, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    begun = torch.cat([torch.full((4, 1), START), drawn.words], 1)[:, None]
    logs = network.logs(regions, begun)[:, 0]  # type: ignore[operator]
    lengths = (drawn.words != 0).sum(1)
    free = lengths < 7  # the last place is the end's alone, whatever its probability
    assert free.any()
    for row in free.nonzero()[:, 0].tolist():
        assert drawn.words[row, lengths[row] - 1] == END
        assert logs[row, : lengths[row]].mean().item() == pytest.approx(drawn.scores[row].item(), abs=1e-4)
