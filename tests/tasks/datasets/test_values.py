import math

import pytest

from tasks.datasets.values import FAR, decimal, pixels, whole, within


@pytest.mark.parametrize("text", ["", "x", "1.5", "1_0", "٣", "0x1", "--1", "1" * 5000, "37", "-1", "1 2", "nan"])
def test_text_that_is_no_whole_number_in_range(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        whole(text, 0, 36)


def test_whole_numbers() -> None:
    assert [whole(text, -3, 36) for text in ("0", "036", " -3 ", "+7")] == [0, 36, -3, 7]
    assert within(5, 5, 5) == 5


@pytest.mark.parametrize("value", [True, None, 1.0, "1", [1], 2, -1, 10**30])
def test_values_that_are_no_whole_number_in_range(value: object) -> None:
    with pytest.raises(ValueError, match="is no whole number from 0 to 1"):
        within(value, 0, 1)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-infinity", "1_0", "1e999", "0x10", "1,5", "٣", "1e8", "1 2"])
def test_text_that_is_no_coordinate(text: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        decimal(text)


def test_coordinates() -> None:
    assert [decimal(text) for text in ("1", "-2.5", " .5\n", "3.", "1.5e1", "+4E-1")] == [1, -2.5, 0.5, 3, 15, 0.4]


@pytest.mark.parametrize("value", [True, None, "1", [1], math.nan, math.inf, -math.inf, FAR + 1, 10**400])
def test_values_that_are_no_coordinate(value: object) -> None:
    with pytest.raises(ValueError, match="is no number of pixels"):
        pixels(value)
