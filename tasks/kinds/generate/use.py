"""What a generator is used for: samples, as many as are wanted, of a class where it can be asked for one."""

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from torch.export import Dim

from models import sentences
from models.generator import Generator
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.kinds.generate import styles
from tasks.kinds.generate.objective import grid, samples
from tasks.kinds.generate.styles import has_styles
from tasks.learning.tensors import to_bytes
from tasks.learning.weights import Configuration
from tasks.params.params import known_to_user

__all__ = ["answer", "decoded", "export", "follows_sentences", "grid", "has_styles", "make"]
# Copies of all samples that are in memory at once, as float32 and as bytes.
COPIES = 3
LARGEST_SEED = 2**63 - 1


def answer(outputs: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (N, H, W, C)."""
    return to_bytes(outputs)


def example(configuration: Configuration) -> np.ndarray:
    """What MLflow's model takes: int64 (N, 2), a seed and the number of a class a row; -1 for whatever class comes."""
    return np.array([[0, -1], [1, -1]])


def serve(network: nn.Module, configuration: Configuration, rows: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (N, H, W, C), one a row of `example`'s form, that the row's seed and class alone decide.

    Raises Error for rows of another form, negative seeds, and classes that the network cannot be asked for.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != 2 or rows.dtype.kind not in "iu" or (rows[:, 0] < 0).any():
        raise Error(f"a generator takes whole numbers (N, 2), a seed from 0 on and a class a row, not {rows.dtype} {rows.shape}")
    names = (None, *configuration.classes)
    if not ((rows[:, 1] >= -1) & (rows[:, 1] < len(names) - 1)).all():
        raise Error(
            f"a class is -1 for any, or from 0 to {len(names) - 2}: {', '.join(configuration.classes) or 'there are none'}"
        )
    return np.concatenate([make(network, configuration, 1, int(seed), names[number + 1]) for seed, number in rows])


def make(
    network: nn.Module,
    configuration: Configuration,
    count: int,
    seed: int,
    asked: str | None = None,
    text: str | None = None,
    truncation: float | None = None,
    mix: int | None = None,
) -> np.ndarray:
    """`count` samples, uint8 (N, H, W, C), all of the class `asked` or of what `text` says, or of each class in its turn.

    `truncation`: of generators with styles, 0 for the mean of all images, 1 for as they come; `mix`: the seed of the noise that their finer
    styles are of. Raises Error for a network that makes no images, a class or a sentence that it cannot be asked for, styles where there
    are none, and more samples than memory has room for.
    """
    needed = COPIES * 4 * configuration.inputs * configuration.size**2 * count
    if needed > (free := psutil.virtual_memory().available):
        raise Error(
            f"count: {count:,} samples take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free; ask for fewer"
        )
    condition = wanted(network, configuration, count, asked, text)
    check_seeds(seed=seed, mix=mix)
    if truncation is None and mix is None:
        return to_bytes(samples(network, count, seed, condition))
    check_styles(network, configuration, truncation)
    return to_bytes(styles.styled(network, count, seed, 1.0 if truncation is None else truncation, mix))


@torch.inference_mode()
def decoded(
    network: Any,
    configuration: Configuration,
    noise: Tensor,
    condition: Tensor | None = None,
    truncation: float | None = None,
    mix: int | None = None,
) -> np.ndarray:
    """The images, uint8 (N, H, W, C), that noise (N, latent) is decoded into; the rest is as `make` and `wanted` have it."""
    if truncation is None and mix is None:
        return to_bytes(network.decode(noise, network.asked(len(noise), condition)))
    check_styles(network, configuration, truncation)
    check_seeds(mix=mix)
    share = 1.0 if truncation is None else truncation
    w = network.mapping(noise, share)
    if mix is None:
        return to_bytes(network.synthesise(w).clamp(0, 1))
    fine = network.mapping(network.noise(1, torch.Generator().manual_seed(mix)), share)
    return to_bytes(network.mix(w, fine.expand_as(w), network.generator.layers // 2).clamp(0, 1))


def check_styles(network: nn.Module, configuration: Configuration, truncation: float | None) -> None:
    """Raises Error for a network without styles, of which truncation or a mix was asked."""
    if not has_styles(network):
        key = "mix" if truncation is None else "truncation"
        raise Error(
            f"{key}: {configuration.network} has no styles; leave it out, or take a style-based generator (network: stylegan)"
        )


def check_seeds(**seeds: int | None) -> None:
    """Raises Error for a seed that PyTorch does not take."""
    for key, seed in seeds.items():
        if seed is not None and not 0 <= seed <= LARGEST_SEED:
            raise Error(f"{key}: {seed}, but allowed are 0 to {LARGEST_SEED}")


def follows_sentences(network: nn.Module, configuration: Configuration) -> bool:
    """Whether a network can be asked for images by a sentence: its classes are digits, or sentences themselves."""
    count = len(configuration.classes)
    if not getattr(network, "classes", 0) or not sentences.named(count):
        return False
    return configuration.classes in (tuple(map(str, range(count))), sentences.sentences(count))


def said(network: nn.Module, configuration: Configuration, text: str, asked: str | None = None) -> str:
    """The class that a sentence names. Raises Error for one that names none, and for a network that follows no sentences."""
    if not follows_sentences(network, configuration):
        raise Error(f"text: {configuration.experiment} follows no sentences; take one of digits that can be asked for a class")
    if asked is not None:
        raise Error("text: says what a class says too; give one of them")
    try:
        return configuration.classes[sentences.read(text, len(configuration.classes))]
    except ValueError as error:
        raise Error(f"text: {error}") from None


def wanted(
    network: nn.Module, configuration: Configuration, count: int, asked: str | None, text: str | None = None
) -> Tensor | None:
    """The classes of `count` samples, (N,); None where the network's own are taken. Raises Error as `make` does."""
    if not isinstance(network, Generator):
        raise Error(f"{configuration.experiment}: {configuration.network} makes no images out of noise; give a generator")
    if text is not None:
        asked = said(network, configuration, text, asked)
    if asked is None:
        return None
    if not network.classes:
        raise Error(f"class: {configuration.experiment} makes images of whatever class; leave it out, or take a conditional one")
    known_to_user(asked, configuration.classes, "class")
    return torch.full((count,), configuration.classes.index(asked))


def export(network: Any, configuration: Configuration, to: Path) -> None:
    """Write `decode` as ONNX: `noise`, float32 (N, latent), and where classes can be asked for `classes`, int64 (N,); out come
    `images`, float32 (N, C, H, W) in [0, 1]. Raises Error for a network that makes images of no latent numbers."""
    if not network.latent:
        raise Error(f"{configuration.experiment}: {configuration.network} makes images of no latent numbers that could be given")
    count = 2 if network.classes else 1
    example = (torch.randn(2, network.latent), torch.arange(2))[:count]
    # The second input's length is bound to the first's.
    shapes = ({0: Dim("batch", min=1)}, {0: Dim.AUTO})[:count]
    program = torch.onnx.export(
        Decoder(network).eval(), example, input_names=["noise", "classes"][:count], output_names=["images"], dynamic_shapes=shapes,
        dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None
    program.model.metadata_props["darkroom"] = configuration.model_dump_json()
    with atomic(to) as temporary:
        program.save(temporary)


class Decoder(nn.Module):
    """A generator's `decode` as its forward pass."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        return self.network.decode(noise, classes)
