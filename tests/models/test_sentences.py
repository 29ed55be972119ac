import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import sentences


@given(st.sampled_from([10, 100, 1000]).flatmap(lambda classes: st.tuples(st.just(classes), st.integers(0, classes - 1))))
def test_a_sentence_is_read_back_as_its_class(drawn: tuple[int, int]) -> None:
    classes, label = drawn
    text = sentences.sentence(label, classes)
    assert sentences.read(text, classes) == label
    assert sentences.read(text.upper().replace(" and", ",") + ".", classes) == label
    assert set(text.split()) <= {*sentences.VOCABULARY}


def test_articles_fit_their_words_and_digits_stand_for_them() -> None:
    assert sentences.sentence(7, 10) == "a seven"
    assert sentences.sentence(38, 100) == "a three and an eight"
    assert sentences.read("3 and 7", 100) == sentences.read("a three and a seven", 100) == 37


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a sevn and a three", "'sevn' is not in the vocabulary; did you mean seven"),
        ("", "names 0 digits, and the images have 2; as in: a three and a seven"),
        ("a one and a two and a three", "names 3 digits"),
        ("a cat and a tree", "'cat' is not in the vocabulary"),
        ("a ٣ and a two", "is not in the vocabulary"),
    ],
)
def test_what_is_no_sentence_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sentences.read(text, 100)


def test_other_numbers_of_classes_have_no_sentences() -> None:
    assert [classes for classes in (0, 1, 5, 10, 20, 100, 1001) if sentences.named(classes)] == [10, 100]
    with pytest.raises(ValueError, match="5 classes"):
        sentences.places(5)
