"""Sentences of a small vocabulary, such as "a seven" and "a three and a seven": what conditional generators of digits are asked for.

A sentence names as many digits as its class has decimal places: of ten classes one, of a hundred two, so that class 37 is "a three and
a seven".
"""

import difflib
import math

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ARTICLES, AND = ("a", "an"), "and"
VOCABULARY = (*ARTICLES, AND, *DIGITS)


def named(classes: int) -> bool:
    """Whether sentences name so many classes: a power of ten."""
    return classes > 1 and 10 ** round(math.log10(classes)) == classes


def places(classes: int) -> int:
    """How many digits a sentence of so many classes names. Raises ValueError where none does."""
    if not named(classes):
        raise ValueError(f"sentences name digits: of 10 classes one, of 100 two; these are {classes} classes")
    return round(math.log10(classes))


def digits(label: int, classes: int) -> tuple[int, ...]:
    """The digits that a class names, first to last."""
    return tuple(int(place) for place in f"{label:0{places(classes)}d}")


def sentence(label: int, classes: int) -> str:
    """The sentence of a class."""
    return f" {AND} ".join(f"{'an' if DIGITS[digit][0] == 'e' else 'a'} {DIGITS[digit]}" for digit in digits(label, classes))


def sentences(classes: int) -> tuple[str, ...]:
    """The sentence of each class, in their order."""
    return tuple(sentence(label, classes) for label in range(classes))


def read(text: str, classes: int) -> int:
    """The class that a sentence names; articles, "and" and commas may be left out, and a digit may stand for its word.

    Raises ValueError for a word that is not in the vocabulary, with the nearest that is, and for more or fewer digits than images have.
    """
    words = text.lower().replace(",", " ").replace(".", " ").split()
    count, example = places(classes), sentence(37 % classes, classes)
    named = []
    for word in words:
        if word in DIGITS or (word.isdecimal() and word.isascii() and len(word) == 1):
            named.append(DIGITS.index(word) if word in DIGITS else int(word))
        elif word not in VOCABULARY:
            near = difflib.get_close_matches(word, VOCABULARY, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{word!r} is not in the vocabulary; {hint}it has: {', '.join(VOCABULARY)}")
    if len(named) != count:
        raise ValueError(f"the sentence names {len(named)} digits, and the images have {count}; as in: {example}")
    return int("".join(map(str, named)))
