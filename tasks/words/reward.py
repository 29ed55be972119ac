"""What a drawn sentence earns: its CIDEr-D against people's sentences for the same picture (Rennie et al. 2017)."""

import numpy as np
import torch
from torch import Tensor

from tasks.words import scores
from tasks.words.vocabulary import END


class Reward:
    """CIDEr-D of sentences as numbers of words, with the document frequencies of the training images."""

    def __init__(self, sentences: Tensor) -> None:
        """`sentences`: of all training images, (N, S, T)."""
        self.documents = scores.Documents([_spoken(own) for own in sentences])

    def __call__(self, said: Tensor, people: Tensor) -> Tensor:
        """Rewards, float32 (B, K), of K sentences (B, K, T) a picture, whose people said (B, S, T'), fill rows among them."""
        found = [
            [self.documents.cider(answer, own) for answer in answers]
            for answers, own in zip(map(_spoken, said), map(_spoken, people))
        ]
        return torch.from_numpy(np.array(found, np.float32))


def advantages(rewards: Tensor) -> Tensor:
    """By how much each reward (B, K) is above the mean of the picture's other ones: what is no better than those changes nothing."""
    return (rewards - rewards.mean(1, keepdim=True)) * rewards.shape[1] / (rewards.shape[1] - 1)


def _spoken(sentences: Tensor) -> list[list[str]]:
    """Numbers (S, T) as words, without starts, ends and fill; rows of fill alone are left out."""
    return [[str(number) for number in row if number > END] for row in sentences.tolist() if any(row)]
