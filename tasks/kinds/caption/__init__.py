"""Captions: a photograph in, a sentence out."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.block import Block
from tasks.words.preparation import Described

# Only networks whose file says so write sentences (`models.kind`).
OWN_NETWORKS = True

METRICS = (
    Metric("cider", "CIDEr-D", 1, 3, headline=True, tolerance=0.06),
    Metric("bleu4", "BLEU-4", 100, 1, "%", headline=True, tolerance=0.03),
    Metric("bleu3", "BLEU-3", 100, 1, "%", tolerance=0.03),
    Metric("bleu2", "BLEU-2", 100, 1, "%", tolerance=0.03),
    Metric("bleu1", "BLEU-1", 100, 1, "%", tolerance=0.03),
    Metric("rouge_l", "ROUGE-L", 100, 1, "%", tolerance=0.03),
    Metric("named", "Names of digits and places that are right", 100, 1, "%", tolerance=0.1),
    Metric("exact", "Sentences that are a reference", 100, 1, "%", tolerance=0.1),
    Metric("distinct", "Distinct sentences", 100, 1, "%", tolerance=0.1),
    Metric("copied", "Sentences copied from train", 100, 1, "%", less_is_better=True, tolerance=0.1),
    Metric("words", "Words a sentence", 1, 1, tolerance=1.0),
)
FIGURES = (
    Figure(
        "captions.png",
        "Test photographs with the best, the median and the worst sentences by CIDEr: ours, and below a person's.",
        pixels=True,
    ),
    Figure("attention.png", "Where the network looks at each word of the best, the median and the worst sentence.", pixels=True),
    Figure("words.png", "The most frequent words of the answers, and how often people use them, a sentence."),
)


class Prepare(Described):
    """Images with sentences."""

    task: Literal["caption"]


class Augment(recipe.Augment):
    """Augmentation of features that are kept: those of the mirrored image. Sentences with left and right would be wrong."""

    jitter: float = Field(0.0, ge=0, le=0, description="of no use to features that are kept")


class SelfCritical(Block):
    """Learning from what one's own sentences score (self-critical sequence training, Rennie et al. 2017)."""

    epochs: int = Field(ge=1, description="so many epochs at the end, after those that learn people's sentences word by word")
    samples: int = Field(5, ge=2, description="sentences that are drawn for each picture, and held against one another")


class Recipe(recipe.Recipe):
    """The recipe of a network that writes sentences."""

    kind: Literal["caption"] = Field("caption", exclude=True, repr=False)
    loss: Literal["cross-entropy"] = Field(description="of each word given those before it; fill and unknown words do not count")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    beam: int = Field(3, ge=1, le=50, description="sentences that are kept at each word; 1 is greedy")
    length_penalty: float = Field(
        0.7, ge=0, le=5, description="a sentence's log-probability is divided by its words to this power"
    )
    augment: Augment = Augment()
    self_critical: SelfCritical | None = Field(
        None, description="the last epochs raise the CIDEr-D of the network's own sentences"
    )

    @model_validator(mode="after")
    def _sentences_are_learned_first(self) -> "Recipe":
        if self.self_critical and self.self_critical.epochs >= self.epochs:
            raise ValueError(
                f"self_critical.epochs: {self.self_critical.epochs} of {self.epochs} epochs; some have to learn sentences first"
            )
        return self


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for mirror images whose sentences say left and right."""
    if experiment.train.augment.flip and prepare.dataset == "scenes-words":
        raise ValueError("train.augment.flip: the sentences of scenes-words say what is left of what; leave it out")
