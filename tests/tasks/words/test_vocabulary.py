import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.words.vocabulary import END, PAD, SPECIAL, START, UNKNOWN, Vocabulary, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog 's ball .", "a dog s ball"),
        ("Two dogs, one dog's RED t-shirt!", "two dogs one dogs red t shirt"),
        ("“Straße”  №5\tcafé", "straße 5 café"),
        ("Собака бежит по снегу.", "собака бежит по снегу"),
        ("कुत्ता बर्फ में दौड़ता है।", "कुत्ता बर्फ में दौड़ता है"),
        ("كلب يركض في الثلج،", "كلب يركض في الثلج"),
        ("狗在雪里", "狗 在 雪 里"),
        ("... !? ☃", ""),
    ],
)
def test_words_are_lower_case_and_without_punctuation_in_any_script(text: str, expected: str) -> None:
    assert " ".join(words(text)) == expected


@given(st.text())
def test_the_words_of_words_are_the_same(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_a_sentence_of_known_words_comes_back(texts: list[str]) -> None:
    vocabulary = Vocabulary.of(texts, 1)
    for text in texts:
        numbers = vocabulary.encode(text, len(words(text)) + 4)
        assert numbers[0] == START
        assert UNKNOWN not in numbers
        assert vocabulary.decode(numbers) == " ".join(words(text))


def test_the_vocabulary_has_what_comes_often_enough_the_most_frequent_first() -> None:
    vocabulary = Vocabulary.of(["A dog.", "a cat", "The dog", "a <pad>"], 2)
    assert vocabulary.words == (*SPECIAL, "a", "dog")
    assert vocabulary.encode("a cat, a dog", 8) == [START, 4, UNKNOWN, 4, 5, END, PAD, PAD]
    assert vocabulary.decode([START, 4, UNKNOWN, 5, END, 5, 5]) == "a dog"
    assert vocabulary.encode("a a a a a", 4) == [START, 4, 4, END]
    assert vocabulary.encode("", 3) == [START, END, PAD]
