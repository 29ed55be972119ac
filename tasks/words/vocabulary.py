"""From a sentence to words, from words to numbers, and back."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

# Numbers that are no word: what fills rows up, where a sentence begins and ends, and a word that the vocabulary lacks.
PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
# A script that is written without spaces: each of its signs is a word.
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")


def words(text: str) -> list[str]:
    """The words of a text in any script: lower case, no punctuation.

    A word is a run of letters, their marks and digits. An apostrophe within a word is left out ("dog's" is "dogs"), any other sign
    parts words ("t-shirt" is two); an ideograph or a kana is a word of its own. `words(" ".join(words(text)))` is `words(text)`.
    """
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFC", text.lower()))
    kept = "".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text)
    return _IDEOGRAPH.sub(r" \g<0> ", kept).split()


def counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    """The words of texts and how often each comes: the most frequent first, those of equal frequency by the alphabet."""
    counts = Counter(word for text in texts for word in words(text))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


@dataclass(frozen=True)
class Vocabulary:
    """The words that have numbers. `words`: by number, those of `SPECIAL` first."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], least: int) -> "Vocabulary":
        """The words that come at least `least` times in the texts, in the order of `counted`."""
        return cls((*SPECIAL, *(word for word, count in counted(texts) if count >= least)))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words) if number >= len(SPECIAL)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, length: int) -> list[int]:
        """A text as `length` numbers: start, words, end, and fill. What is longer is cut off, and has its end all the same."""
        inner = [self.numbers.get(word, UNKNOWN) for word in words(text)[: length - 2]]
        return [START, *inner, END, *[PAD] * (length - 2 - len(inner))]

    def decode(self, numbers: Iterable[float]) -> str:
        """The words of numbers up to the end, with spaces between; what is no word is left out."""
        found = []
        for number in map(int, numbers):
            if number == END:
                break
            if number >= len(SPECIAL):
                found.append(self.words[number])
        return " ".join(found)

    def sentences(self, rows: Iterable[Sequence[float]]) -> list[str]:
        """`decode` of each row."""
        return [self.decode(row) for row in rows]
