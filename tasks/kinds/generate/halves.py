"""A classifier of digits as the judge of pairs: it looks at both halves of the strip in the middle of a square."""

import numpy as np
from torch import Tensor

from tasks.datasets.data import Info
from tasks.kinds.generate.features import Judge
from tasks.learning.weights import Configuration


def fits(judge: Configuration, info: Info) -> bool:
    """Whether images hold two of the judge's side by side, and their classes name both (`tasks.datasets.digit_pairs`)."""
    theirs = (judge.task, judge.inputs, 2 * judge.size, len(judge.classes) ** 2)
    return theirs == ("classify", info.channels, info.size, len(info.classes))


class Halves(Judge):
    """Features of both halves, one behind the other, and the class that names both."""

    def look(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        side = self.configuration.size
        top = (images.shape[2] - side) // 2
        strip = images[:, :, top : top + side]
        (first, left), (second, right) = (super(Halves, self).look(half) for half in strip.split(side, 3))
        return np.concatenate([first, second], 1), len(self.configuration.classes) * left + right
