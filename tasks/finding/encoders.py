"""What makes vectors of photographs and of words: a network of ours, or one of open_clip's layout."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

import models
from models.clip import Clip
from tasks import carried, light
from tasks.common import devices, files
from tasks.common.errors import Error
from tasks.finding import byte_pairs, foreign_clip
from tasks.imaging import images
from tasks.learning.tensors import to_float
from tasks.words.vocabulary import UNKNOWN, Vocabulary, words

EMBEDDED = Path(models.__path__[0]) / "weights" / "clip.safetensors"
LONGEST = 200  # words of a sentence that are read


class Encoder(Protocol):
    """`network`: the hash of its weights; `name`: what it is called in a sentence; `size`: pixels a side of what it sees."""

    network: str
    name: str
    dimensions: int
    size: int

    def images(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors float32 (N, D) of uint8 (size, size, 3) each."""
        ...

    def sentence(self, text: str) -> tuple[np.ndarray, list[str]]:
        """The unit vector (D,) of a sentence, and what is to be said of it. Raises Error for one that says nothing to the network."""
        ...


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """What encoders see of a photograph: its middle square, as in training."""
    return images.center_square(images.as_channels(pixels, 3), size)


class Ours:
    """A network of the kind `embed`."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        self.device = devices.choose(device)
        model, configuration = light.load(carried.verified(path), self.device)
        if not isinstance(model, Clip):
            raise Error(f"{path}: weights of the task {configuration.task}, which has no sentences; give those of embed")
        self.model = model
        self.network, self.name = files.sha256(path), f"{configuration.experiment} ({path.name})"
        self.size, self.vocabulary = configuration.size, Vocabulary(configuration.classes)
        self.dimensions = int(self.model.image[-1].weight.shape[0])  # type: ignore[index]

    @torch.inference_mode()
    def images(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        return self.model(to_float(torch.from_numpy(np.stack(squares)).to(self.device))).cpu().numpy()

    @torch.inference_mode()
    def sentence(self, text: str) -> tuple[np.ndarray, list[str]]:
        asked = _asked(text)
        strange = [word for word in dict.fromkeys(asked) if word not in self.vocabulary.numbers]
        if len(strange) == len({*asked}):
            raise Error(f"{_short(text)!r}: none of its words is known{self._near(strange)}; say it in other, English words")
        notes = [f"not known, and left out: {', '.join(strange[:5])}{self._near(strange)}"] if strange else []
        if len(asked) > LONGEST:
            notes.append(f"the first {LONGEST} of {len(asked):,} words are read")
        numbers = [self.vocabulary.numbers.get(word, UNKNOWN) for word in asked[:LONGEST]]
        if max(numbers) == UNKNOWN:
            raise Error(f"{_short(text)!r}: none of its first {LONGEST} words is known; say it shorter")
        return self.model.encode_sentences(torch.tensor([numbers], device=self.device))[0].cpu().numpy(), notes

    def _near(self, strange: Sequence[str]) -> str:
        near = [near for word in strange[:3] for near in difflib.get_close_matches(word, self.vocabulary.numbers, 1)]
        return f" (near are {', '.join(near)})" if near else ""


class OpenClip:
    """A network of open_clip's layout, whose sentences are encoded by byte pairs."""

    def __init__(self, path: Path, quick: bool, merges: Path | None = None, device: str = "auto") -> None:
        self.device = devices.choose(device)
        self.pairs = byte_pairs.read(merges)
        model = foreign_clip.read(path, quick)
        self.model = model.to(self.device)
        self.network, self.name = files.sha256(path), path.name
        self.size, self.dimensions = model.sizes.side, model.sizes.space
        if len(self.pairs) != model.sizes.words:
            raise Error(f"{path}: knows {model.sizes.words:,} pieces of words, and the merges make {len(self.pairs):,}")

    @torch.inference_mode()
    def images(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        return self.model.encode_images(to_float(torch.from_numpy(np.stack(squares)).to(self.device))).cpu().numpy()

    @torch.inference_mode()
    def sentence(self, text: str) -> tuple[np.ndarray, list[str]]:
        _asked(text)
        length = self.model.sizes.length
        count = len(self.pairs.encode(text[: 100 * length])) + 2
        row = torch.tensor([self.pairs.row(text[: 100 * length], length)], device=self.device)
        notes = [f"longer than the {length} pieces that are read"] if count > length else []
        return self.model.encode_sentences(row)[0].cpu().numpy(), notes


def choose(named: str | None, merges: Path | None = None, device: str = "auto") -> Encoder:
    """The encoder of a weights file, of a name in `foreign_clip.SOURCES`, or, by default, the one that comes with the code.

    Raises Error for a file that is not there or of neither layout, and as the encoders do.
    """
    if named is None:
        if not EMBEDDED.is_file():
            raise Error(f"{EMBEDDED}: no such weights; name some with --weights")
        return Ours(EMBEDDED, device)
    if named in foreign_clip.SOURCES:
        source = foreign_clip.SOURCES[named]
        return OpenClip(foreign_clip.fetch(named), source.quick, merges, device)
    path = Path(named)
    if not path.is_file():
        raise Error(f"{named}: no such file; give one, or a name of {', '.join(foreign_clip.SOURCES)}")
    if foreign_clip.is_open_clip(path):
        return OpenClip(path, foreign_clip.is_quick(path), merges, device)
    return Ours(path, device)


def _asked(text: str) -> list[str]:
    """The words of a text. Raises Error where there are none."""
    if not (asked := words(text)):
        raise Error(f"{_short(text)!r}: no words; say what the photographs show")
    return asked


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
