import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from tasks.common.errors import Error
from tasks.generation.distances import frechet, kernel
from tasks.generation.manifold import manifold


class Same(torch.nn.Module):
    """Features that are given in place of images."""

    num_features = 24

    def forward(self, x):
        return x


def sets(width=24, rows=(300, 200)):
    random = np.random.default_rng(0)
    first = random.normal(size=(rows[0], width)) @ random.normal(size=(width, width))
    return first, random.normal(1, 2, size=(rows[1], width))


@pytest.mark.filterwarnings("ignore:Metric `Kernel:UserWarning")
def test_both_distances_are_those_of_torchmetrics():
    first, second = sets()
    fid = FrechetInceptionDistance(feature=Same(), input_img_size=(24, 1, 1)).set_dtype(torch.float64)
    for features, real in ((first, True), (second, False)):
        fid.update(torch.from_numpy(features), real=real)
    assert frechet(first, second) == pytest.approx(float(fid.compute()), abs=1e-3)

    kid = KernelInceptionDistance(feature=Same(), subsets=1, subset_size=200)
    kid.update(torch.from_numpy(first[:200]), real=True)
    kid.update(torch.from_numpy(second), real=False)
    assert kernel(first[:200], second) == pytest.approx(float(kid.compute()[0]), rel=1e-3)


def test_the_distance_of_known_gaussians_is_found():
    first = np.random.default_rng(1).normal(size=(1000, 3))
    first = (first - first.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(first.T))).T
    assert frechet(first, first * [1, 2, 3] + [0, 0, 4]) == pytest.approx(16 + 0 + 1 + 4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 40), st.integers(1, 12))
def test_a_distance_is_symmetric_and_nothing_is_nearer_than_itself(seed, n, m, width):
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(n, width)), random.normal(size=(m, width))
    assert frechet(first, second) == pytest.approx(frechet(second, first), abs=1e-9)
    assert frechet(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet(first, second) > -1e-9
    assert kernel(first, second) == pytest.approx(kernel(second, first), abs=1e-9)


def test_more_than_a_block_of_rows_is_one_set():
    random = np.random.default_rng(2)
    first, second = random.normal(size=(2500, 4)), random.normal(0.5, 1, size=(1200, 4))

    def mean(x, y, own):
        values = (x @ y.T / 4 + 1) ** 3
        return (values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)) if own else values.mean()

    assert kernel(first, second) == pytest.approx(
        mean(first, first, True) + mean(second, second, True) - 2 * mean(first, second, False)
    )


def slow_manifold(real, fake, k):
    def inside(point, centres):
        for i, centre in enumerate(centres):
            others = sorted(np.linalg.norm(other - centre) for j, other in enumerate(centres) if j != i)
            if np.linalg.norm(point - centre) <= others[k - 1]:
                return True
        return False

    return np.mean([inside(p, real) for p in fake]), np.mean([inside(p, fake) for p in real])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.2, 3))
def test_manifolds_are_those_of_the_definition(seed, k, spread):
    random = np.random.default_rng(seed)
    real, fake = random.normal(size=(17, 2)), random.normal(0.5, spread, size=(12, 2))
    assert manifold(real, fake, k) == pytest.approx(slow_manifold(real, fake, k))


def test_what_is_no_set_of_features_is_refused():
    good = np.ones((5, 3))
    for bad in (np.ones((1, 3)), np.ones((5, 4)), np.full((5, 3), np.nan)):
        with pytest.raises(Error, match=r"\(N, D\)|not finite"):
            frechet(good, bad)
    with pytest.raises(Error, match="more than 3"):
        manifold(np.ones((3, 2)), np.ones((9, 2)))
