"""Captions: sentences for many photographs in batches against one photograph at a time, and a training step of the LSTM against the course's.

Features and sentences are drawn at random in the shape of Flickr8k's: how long they take does not depend on what they say.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import models
from benchmarks.timing import compare
from models import Shape
from models.caption import BLOCKS
from models.decoders import END, PAD, START
from models.mobilenet import CHANNELS, Backbone
from tasks.common import devices
from tasks.kinds.caption import describe
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import autocast
from tasks.params.recipe import Optimizer, Recipe

WORDS, LENGTH, GRID = 1147, 24, 7
SHORTEST, LONGEST = 7, 20  # words of a sentence
CPU = torch.device("cpu")
PHOTOGRAPHS, ALONE, BEAM, PENALTY = 128, 8, 3, 0.7
PROMISED = 50  # photographs a second
# The course's: sentences in a batch, ours of as many images each, channels, and the map's side.
BATCH, EACH, WIDTH, SMALL = 250, 5, 512, 4
STEPS = 1
REPEATS = 3


def run(root: Path) -> list[dict[str, Any]]:
    precision = devices.precision("auto", CPU)
    return [*sentences(precision), *training(precision)]


def network(decoder: str, width: int, grid: int = GRID) -> Any:
    """A captioner with random weights, without dropout: none of its sentences ends before its last place."""
    torch.manual_seed(0)
    architecture = {"decoder": decoder, "width": width, "dropout": 0.0}
    built: Any = models.build("caption", Shape(3, WORDS, 32 * grid, {"length": LENGTH}), architecture)
    with torch.no_grad():
        built.decoder.output.bias[END] = -1e3
    return built


def features(count: int, grid: int = GRID) -> Tensor:
    return torch.rand(count, CHANNELS[1], grid, grid, generator=torch.Generator().manual_seed(0))


def sentences(precision: str) -> list[dict[str, Any]]:
    """Sentences of the longest length from kept features."""
    built, seen = network("attention", 256), features(PHOTOGRAPHS)

    def together() -> int:
        describe.sentences(built, seen, precision, BEAM, PENALTY)
        return PHOTOGRAPHS

    def one_by_one() -> int:
        for one in seen[:ALONE].split(1):
            describe.sentences(built, one, precision, BEAM, PENALTY)
        return ALONE

    row = compare(
        "captions",
        together,
        one_by_one,
        unit="photographs",
        description=f"sentences of {LENGTH - 1} words with a beam of {BEAM} from kept features, LSTM with attention of 256: in batches of "
        f"{describe.BATCH} against one photograph at a time",
        floor=None,
        repeats=REPEATS,
    )
    limit = {
        "name": "captions_seconds",
        "seconds": round(PHOTOGRAPHS / row["ours"], 2),
        "limit": round(PHOTOGRAPHS / PROMISED, 2),
        "description": f"the same {PHOTOGRAPHS} photographs in batches; {PROMISED} a second are promised",
    }
    return [row, limit]


class Course(nn.Module):
    """The LSTM as the course has it: a loop over words, a sentence an image, scores of all places, fp32."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.embedding, self.output = (
            nn.Linear(CHANNELS[1], WIDTH),
            nn.Embedding(WORDS, WIDTH),
            nn.Linear(WIDTH, WORDS),
        )
        self.of_word, self.of_state = (nn.Parameter(torch.randn(WIDTH, 4 * WIDTH) / WIDTH**0.5) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(4 * WIDTH))

    def losses(self, seen: Tensor, words: Tensor) -> Tensor:
        """Of features (N, C, h, w) and words (N, T)."""
        hidden = self.first(seen.mean((2, 3)))
        cell = torch.zeros_like(hidden)
        found = []
        for word in self.embedding(words[:, :-1]).unbind(1):
            take, forget, give, new = (word.mm(self.of_word) + hidden.mm(self.of_state) + self.bias).chunk(4, 1)
            cell = forget.sigmoid() * cell + take.sigmoid() * new.tanh()
            hidden = give.sigmoid() * cell.tanh()
            found.append(hidden)
        scores = self.output(torch.stack(found, 1))
        return F.cross_entropy(scores.flatten(0, 1), words[:, 1:].flatten(), ignore_index=PAD, reduction="sum") / len(words)


def drawn() -> Tensor:
    """Sentences (N, S, T) of images."""
    generator = torch.Generator().manual_seed(0)
    shape = BATCH // EACH, EACH
    words = torch.randint(END + 2, WORDS, (*shape, LENGTH), generator=generator)
    words[:, :, 0] = START
    ends = torch.randint(SHORTEST + 1, LONGEST + 2, (*shape, 1), generator=generator)
    places = torch.arange(LENGTH)
    return words.masked_fill(places == ends, END).masked_fill(places > ends, PAD)


def training(precision: str) -> list[dict[str, Any]]:
    """Steps on the same sentences: ours sees an image once for all of its sentences, the course's once for each.

    The course's loop has the frozen backbone look at the photographs in each step; the second row leaves that out.
    """
    seen, words = features(BATCH // EACH, SMALL), drawn()
    count = int((words[:, :, 1:] != PAD).sum())
    built, course, backbone = network("lstm", WIDTH, SMALL).train(), Course(), Backbone(BLOCKS)
    recipe = Recipe(epochs=1, batch_size=len(seen), loss="cross-entropy", optimizer=Optimizer(name="adam", lr=1e-3))
    updates, optimizer = Updates(built, recipe, 10_000), torch.optim.Adam(course.parameters(), 1e-3)
    photographs, flat = torch.rand(BATCH, 3, 32 * SMALL, 32 * SMALL), words.flatten(0, 1)

    def ours() -> int:
        for _ in range(STEPS):
            with autocast(CPU, precision):
                loss = built.losses(seen, words)
            updates["network"](loss)
        return STEPS * count

    def step(features: Tensor) -> None:
        loss = course.losses(features, flat)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def whole() -> int:
        for _ in range(STEPS):
            with torch.no_grad():
                found = backbone.stem(photographs)
            step(found)
        return STEPS * count

    def alone() -> int:
        repeated = seen.repeat_interleave(EACH, 0)
        for _ in range(STEPS):
            step(repeated)
        return STEPS * count

    what = (
        f"training steps of the LSTM of {WIDTH} on {BATCH} sentences, without dropout: ours ({precision}, kept features, an image once, "
        "no fill)"
    )
    return [
        compare(
            "captions_training",
            ours,
            whole,
            unit="words",
            description=f"{what} against the course's loop (fp32, photographs at {32 * SMALL} px through the frozen network, scores of all places)",
            floor=3.0,
            repeats=REPEATS,
        ),
        compare(
            "captions_lstm",
            ours,
            alone,
            unit="words",
            description=f"{what} against the course's loop given the same features",
            floor=3.0,
            repeats=REPEATS,
        ),
    ]
