"""Numbers of annotation files: each is checked against its range before anything is computed with it."""

import re

# Pixels; no photograph that can be decoded has as many a side.
FAR = 10_000_000


def whole(text: str, lowest: int, highest: int) -> int:
    """A whole number from decimal text. Raises ValueError for anything else, and for one out of range."""
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
        raise ValueError(f"{text[:40]!r} is no whole number")
    return within(int(text), lowest, highest)


def within(value: object, lowest: int, highest: int) -> int:
    """A whole number that a JSON file gave. Raises ValueError for another value, and for one out of range."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{repr(value)[:40]} is no whole number from {lowest} to {highest}")
    return value


def decimal(text: str) -> float:
    """A coordinate or length in pixels from decimal text. Raises ValueError for anything else, and for one that is too large."""
    if not re.fullmatch(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*", text):
        raise ValueError(f"{text[:40]!r} is no number")
    return pixels(float(text))


def pixels(value: object) -> float:
    """A coordinate or length that a JSON file gave. Raises ValueError for what is no finite number, and for one that is too large."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= FAR:
        raise ValueError(f"{repr(value)[:40]} is no number of pixels")
    return value
