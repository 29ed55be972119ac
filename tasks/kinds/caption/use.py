"""What a captioner is used for: a sentence for a photograph, and where it looked at each word."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.imaging import images
from tasks.imaging.images import as_channels
from tasks.kinds.caption import Recipe, describe
from tasks.learning.tensors import autocast, to_float
from tasks.learning.weights import Configuration
from tasks.profile import Profile
from tasks.words.vocabulary import Vocabulary

BEAM, PENALTY = 3, 0.7


class Said(NamedTuple):
    """A sentence, its words, where the network looked at each, shares (T, L), and its score (`decoding.Sentences`)."""

    text: str
    words: list[str]
    looked: np.ndarray
    score: float


def answer(outputs: np.ndarray) -> np.ndarray:
    """Numbers of words, int64 (N, T): the likeliest one at each place, 2 at the end and 0 behind it; the words stand in the metadata."""
    return outputs.astype(np.int64)


def serve(network: nn.Module, configuration: Configuration, pixels: np.ndarray) -> np.ndarray:
    """Sentences, text (N,), of photographs, uint8 (N, size, size, 3): what MLflow's model returns."""
    parts = [pixels[start : start + describe.BATCH] for start in range(0, len(pixels), describe.BATCH)]
    return np.array([said.text for part in parts for said in captions(network, configuration, part, "fp32")], str)


def penalty(profile: Profile, experiment: str) -> float:
    """The length penalty that an experiment's sentences are measured with; that of a recipe without one where the profile lacks it."""
    recipe = getattr(profile.params.experiments.get(experiment), "train", None)
    return recipe.length_penalty if isinstance(recipe, Recipe) else PENALTY


def square(pixels: np.ndarray, configuration: Configuration) -> np.ndarray:
    """A photograph, uint8 (H, W, 1 or 3), as the captioner is given it: uint8 (size, size, 3)."""
    colour, size = as_channels(pixels, 3), configuration.size
    return images.center_square(colour, size) if configuration.extra.get("center") else images.resize(colour, size, size)


@torch.inference_mode()
def captions(
    network: nn.Module,
    configuration: Configuration,
    pixels: np.ndarray,
    precision: str,
    beam: int = BEAM,
    penalty: float = PENALTY,
) -> list[Said]:
    """The sentences of photographs, uint8 (N, size, size, 3)."""
    device = next(iter([*network.parameters(), *network.buffers()])).device
    network.eval()
    with autocast(device, precision):
        stem = network.stem(to_float(torch.from_numpy(pixels).to(device)))  # type: ignore[operator]
    said = describe.sentences(network, stem, precision, beam, penalty)
    texts = Vocabulary(configuration.classes).sentences(said.words.tolist())
    return [
        Said(text, text.split(), looked[: len(text.split())], float(score))
        for text, looked, score in zip(texts, said.looked.numpy(), said.scores)
    ]


class _Encoder(nn.Module):
    """Images to regions and the state before the first word."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        state = self.network.decoder.begin(self.network.see(self.network.stem(images)))
        return tuple(state.values())


class _Step(nn.Module):
    """A word and a state to logits of the next word, where the network looked, and the state behind it."""

    def __init__(self, network: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.decoder, self.names = network.decoder, names

    def forward(self, words: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, after, looked = self.decoder.step(dict(zip(self.names, state)), words)
        return logits, looked, *(after[name] for name in self.names)


def export(network: nn.Module, configuration: Configuration, to: Path) -> None:
    """Write two files: `to`, images (N, 3, size, size) to a state, and beside it NAME.step.onnx, a step of decoding.

    A step takes `words`, int64 (N,), and the state, tensors by name; it gives `logits` (N, V), `looked` (N, L) and the state as
    `next_<name>`. The first word is number 1, the end 2; 0, 1 and 3 are no words. The words stand in the metadata: `classes` of `darkroom`.
    Raises Error for a network that remembers training sentences and has no step.
    """
    if not hasattr(network, "decoder"):
        raise Error(f"{configuration.experiment} remembers sentences and writes none; export a captioner that learned")
    images = torch.rand(2, configuration.inputs, configuration.size, configuration.size)
    batch = Dim("batch", min=1)
    with torch.no_grad():
        state = network.decoder.begin(network.see(network.stem(images)))  # type: ignore[operator, union-attr]
        words = torch.ones(2, dtype=torch.int64)
        names = [*state]
        if "key0" in state:
            # A state of no words has sizes of 0, which an export would take for constants.
            for _ in range(2):
                _, state, _ = network.decoder.step(state, words)  # type: ignore[operator, union-attr]
    places = Dim("places", min=1)
    shapes = [{0: batch, 2: places} if re.fullmatch(r"(key|value)\d+", name) else {0: batch} for name in names]
    _write(_Encoder(network), (images,), ["images"], names, ({0: batch},), configuration, to)
    outputs = ["logits", "looked", *(f"next_{name}" for name in names)]
    # Two names of one tensor, as hidden and cell are before the first word, would become one input.
    inputs = (words, *(value.clone() for value in state.values()))
    _write(_Step(network, names), inputs, ["words", *names], outputs, ({0: batch}, tuple(shapes)), configuration, step_file(to))


def step_file(path: Path) -> Path:
    """Where the step of decoding stands beside an encoder's file."""
    return path.with_suffix(".step.onnx")


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    takes: list[str],
    gives: list[str],
    shapes: Any,
    configuration: Configuration,
    to: Path,
) -> None:
    with warnings.catch_warnings():
        # Torch says that the batch's axis has one name in several inputs, which is wanted, and much about its own export of an LSTM.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), inputs, input_names=takes, output_names=gives, dynamic_shapes=shapes, dynamo=True, verbose=False
        )
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    with atomic(to) as temporary:
        program.save(temporary)
