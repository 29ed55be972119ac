"""What is written is read; the tables are those of the Gaussian, and nowhere near a boundary at which another processor might round otherwise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.coefficients import NARROW
from tasks.codec import coder

UNIT = 256


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(0, 60))
def test_what_is_written_is_read(data: st.DataObject, count: int) -> None:
    def drawn(low: int, high: int) -> np.ndarray:
        return np.array(data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count)), np.int64)

    steps = [(drawn(-40 * UNIT, 40 * UNIT), drawn(-9 * UNIT, 9 * UNIT), drawn(-coder.LARGEST, coder.LARGEST)) for _ in range(2)]
    writer = coder.Writer()
    for means, scales, values in steps:
        assert np.array_equal(writer.code(means, scales, values), values)
    reader = coder.Reader(writer.content())
    for means, scales, values in steps:
        assert np.array_equal(reader.code(means, scales, None), values)


def test_bits_are_those_of_the_model() -> None:
    random = np.random.default_rng(0)
    means, scales = random.uniform(-20, 20, 50_000), random.uniform(NARROW, 6, 50_000)
    values = np.rint(random.normal(means, 2**scales))
    upper, lower = (expit((half - np.abs(values - means)) / 2**scales) for half in (0.5, -0.5))
    expected = -np.log2(np.maximum(upper - lower, 2.0**-24)).sum()
    writer = coder.Writer()
    writer.code(np.rint(means * UNIT), np.rint(scales * UNIT), values)
    assert 8 * len(writer.content()) == pytest.approx(expected, rel=0.01)


def test_no_count_is_near_a_boundary_of_rounding() -> None:
    """The distribution's function is right to 1e-14 of 1: a count whose distance from the boundary is larger is the same everywhere."""
    nearest = 1.0
    for table in range(coder.SCALES * coder.EIGHTHS):
        scale, eighth = divmod(table, coder.EIGHTHS)
        far = coder.reach(scale)
        edges = np.arange(-far, far + 2) - 0.5 - (eighth - coder.EIGHTHS // 2) / coder.EIGHTHS
        exact = coder.TOTAL * np.diff(expit(edges / 2 ** (scale / coder.STEPS + NARROW)))
        distance = np.abs(exact - np.floor(exact) - 0.5)
        nearest = min(nearest, float(distance.min()))
    assert nearest / coder.TOTAL > 1e-14


def test_the_tables_are_those_of_version_1() -> None:
    assert coder.digest().hex()[:16] == "c02f0ba746981220"


def test_every_table_has_room_for_all_it_may_meet() -> None:
    for table in range(coder.SCALES * coder.EIGHTHS):
        counts = coder.counts(table)
        assert len(counts) == 2 * coder.reach(table // coder.EIGHTHS) + 2
        assert counts.min() >= 1
        assert int(counts.sum()) == pytest.approx(coder.TOTAL, rel=0.01)
