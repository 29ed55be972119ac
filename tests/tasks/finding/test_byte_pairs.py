"""Byte pairs: the plain algorithm on a made list, and the publisher's numbers where its list is installed."""

import gzip
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import Error
from tasks.finding import byte_pairs
from tasks.finding.byte_pairs import BytePairs, pieces

MADE = BytePairs([("a", "b"), ("ab", "c</w>"), ("a", "a"), ("d", "o"), ("do", "g</w>")])


def written(text: str) -> list[str]:
    back = {number: piece for piece, number in MADE.numbers.items()}
    return [back[number] for number in MADE.encode(text)]


def test_pairs_are_joined_in_the_order_of_the_list() -> None:
    assert written("abc") == ["abc</w>"]
    assert written("ab") == ["a", "b</w>"]
    assert written("Dog dogs") == ["dog</w>", "do", "g", "s</w>"]
    # From the left, and not twice in one round.
    assert written("aaab") == ["aa", "a", "b</w>"]
    assert written("aabc") == ["a", "abc</w>"]


def test_pieces_are_words_digits_and_other_signs() -> None:
    assert [*pieces("it's 42 dogs, don't!?")] == ["it", "'s", "4", "2", "dogs", ",", "don", "'t", "!?"]
    assert [*pieces("Äpfel 犬")] == ["Äpfel", "犬"]


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20))
def test_any_text_comes_back(text: str) -> None:
    """But for case, spaces, and what HTML calls a sign."""
    if "&" in text:
        return
    numbers = MADE.encode(text)
    assert all(0 <= number < len(MADE) for number in numbers)
    assert "".join(MADE.decode(numbers).split()) == "".join(text.lower().split())


def test_a_row_has_a_start_an_end_and_zeros() -> None:
    start, end = MADE.numbers[byte_pairs.START], MADE.numbers[byte_pairs.END]
    assert MADE.row("dog", 5) == [start, MADE.numbers["dog</w>"], end, 0, 0]
    # The end sign has the largest number, by which encoders find it.
    assert end == max(MADE.numbers.values())
    assert MADE.row("dog " * 9, 5)[-1] == end
    assert MADE.row("", 3) == [start, end, 0]


def test_lists_that_cannot_be_used_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such file of merges"):
        byte_pairs.read(tmp_path / "nothing.gz")
    (tmp_path / "text.gz").write_bytes(b"text")
    with pytest.raises(Error, match="not a gzip file of merges"):
        byte_pairs.read(tmp_path / "text.gz")
    (tmp_path / "three.gz").write_bytes(gzip.compress(b"#version\na b c\n"))
    with pytest.raises(Error, match="two pieces a line"):
        byte_pairs.read(tmp_path / "three.gz")
    (tmp_path / "good.gz").write_bytes(gzip.compress(b"#version\na b\nab c</w>\n"))
    assert byte_pairs.read(tmp_path / "good.gz").encode("abc") == [2 * 256 + 1]


def test_the_publishers_list_gives_the_publishers_numbers() -> None:
    try:
        distribution(byte_pairs.PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{byte_pairs.PACKAGE} is not installed")
    pairs = byte_pairs.read()
    assert len(pairs) == 49408
    assert pairs.row("a photo of a cat", 9) == [49406, 320, 1125, 539, 320, 2368, 49407, 0, 0]
