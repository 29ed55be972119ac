"""What is saved by rounding elsewhere is worth more than the error that it makes."""

import numpy as np
import pytest
import torch

from models.coefficients import bits
from tasks.codec import thrift

UNIT = 256


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    means, scales = random.normal(0, 2, (4, 5000)), random.uniform(-4, 3, (4, 5000))
    exact = (means + 2**scales * random.logistic(size=means.shape)).astype(np.float32)
    return exact, np.rint(means * UNIT).astype(np.int32), np.rint(scales * UNIT).astype(np.int32)


def cost(values: np.ndarray, exact: np.ndarray, means: np.ndarray, scales: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Bits, and squared errors at what they are worth."""
    taken = bits(*(torch.from_numpy(x).double() for x in (values, means / UNIT, scales / UNIT))).numpy()
    return taken + costs[:, None] * np.square(values - exact)


def test_no_value_costs_more_than_the_nearest_and_some_cost_less() -> None:
    exact, means, scales = drawn()
    costs = np.array([1.0, 4, 9, 30], np.float32)
    found = thrift.rounded(exact, means, scales, costs)
    assert (np.abs(found - exact) < 1.0001).all()
    saved = cost(np.rint(exact), exact, means, scales, costs) - cost(found, exact, means, scales, costs)
    assert saved.min() > -1e-3
    assert (saved.mean(1) > 0).all()
    assert saved[0].mean() > saved[3].mean()


def test_without_eagerness_all_are_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.codec.thrift.EAGER", 0.0)
    exact, means, scales = drawn()
    assert np.array_equal(thrift.rounded(exact, means, scales, np.ones(4, np.float32)), np.rint(exact))
